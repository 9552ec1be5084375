"""One process of the mesh: started, watched, restarted with back-off, stopped; its output kept in a capped log."""

import asyncio
import contextlib
import os
import pwd
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

_LOG_BYTES = 4 * 1024 * 1024
_LAUNCH = Path(__file__).parent / "launch.py"
_FIRST_BACKOFF = 0.2
_LAST_BACKOFF = 5.0
_STEADY_SECONDS = 10.0
_READY_POLL = 0.1

Ready = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Spec:
    """How to run one process. ``account`` is whom to run as; ``directory`` its working directory."""

    name: str
    command: Sequence[str]
    ready: Ready
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL  # what it gets when the supervisor dies
    stop_seconds: float = 4.0
    account: pwd.struct_passwd | None = None
    directory: Path | None = None
    port: int = 0


class Child:
    """Keeps the process of ``spec`` alive until stopped."""

    def __init__(self, spec: Spec, logs: Path) -> None:
        self.spec = spec
        self.state = "waiting"
        self.restarts = 0
        self.pid = 0
        self.log = logs / f"{spec.name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stopping = False

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_alive())

    async def wait_ready(self, timeout: float | None) -> None:  # noqa: ASYNC109 - the caller's budget
        """Wait until the process answers; raises TimeoutError."""
        await asyncio.wait_for(self._ready.wait(), timeout)

    async def stop(self) -> None:
        """Ask the process to end, and make it if it does not within its time."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self.state = "stopping"
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self.spec.stop_signal)
            try:
                await asyncio.wait_for(self._process.wait(), self.spec.stop_seconds)
            except TimeoutError:
                _kill_group(self._process.pid)
        if self._task is not None:
            if self._process is None or self._process.returncode is not None:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.state = "stopped"

    async def _keep_alive(self) -> None:
        backoff = _FIRST_BACKOFF
        while not self._stopping:
            started = time.monotonic()
            await self._run_once()
            if self._stopping:
                return
            self.restarts += 1
            self.state = "restarting"
            backoff = _FIRST_BACKOFF if time.monotonic() - started > _STEADY_SECONDS else min(backoff * 2, _LAST_BACKOFF)
            await asyncio.sleep(backoff)

    async def _run_once(self) -> None:
        self.state = "starting"
        # A pipe of our own: asyncio's would make the end of the process wait for whoever inherited it.
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as output:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *_launched(self.spec),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=writing,
                    stderr=writing,
                    env=dict(self.spec.environment),
                    cwd=self.spec.directory,
                    start_new_session=True,
                )
            finally:
                os.close(writing)
            self.pid = self._process.pid
            tasks = [asyncio.create_task(self._watch_ready()), asyncio.create_task(self._copy_log(output))]
            try:
                code = await self._process.wait()
            finally:
                _kill_group(self.pid)  # children of its own that it left
                self.pid = 0
                self._ready.clear()
                tasks[0].cancel()
                await asyncio.wait(tasks, timeout=1.0)
                tasks[1].cancel()
        if not self._stopping:
            with self.log.open("a") as file:
                file.write(f"-- {self.spec.name} ended with code {code}\n")

    async def _watch_ready(self) -> None:
        while True:
            answered = await self.spec.ready()
            if self._stopping:
                return
            if answered:
                self.state = "ready"
                self._ready.set()
            elif self._ready.is_set():
                self.state = "not ready"
                self._ready.clear()
            await asyncio.sleep(2.0 if answered else _READY_POLL)

    async def _copy_log(self, output: BinaryIO) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
        file = self.log.open("ab")
        try:
            while data := await reader.read(65536):
                if file.tell() + len(data) > _LOG_BYTES:
                    file.close()
                    self.log.replace(self.log.with_suffix(".log.1"))
                    file = self.log.open("ab")
                file.write(data)
                file.flush()
        finally:
            file.close()
            transport.close()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _launched(spec: Spec) -> list[str]:
    """Return the command that runs the process as its account and ends it when this process dies."""
    owner = [str(spec.account.pw_uid), str(spec.account.pw_gid)] if spec.account else ["-", "-"]
    return [sys.executable, "-I", "-S", str(_LAUNCH), str(spec.orphan_signal.value), str(os.getpid()), *owner, *spec.command]
