"""Runs one process of the mesh: starts it, watches it, replaces it when it ends or hangs, and stops it."""

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

from deploy.local.activity import Activity
from deploy.local.output import Log

_LAUNCH = Path(__file__).parent / "launch.py"
_FIRST_BACKOFF = 0.2
_LAST_BACKOFF = 5.0
_STEADY_SECONDS = 10.0
_READY_POLL = 2.0
_UNREADY_POLL = 0.1
_SAMPLE_SECONDS = 1.0
_BUSY_RATE = 1 / 6  # at which the time of a process that is at work counts as unready
_LONGEST_BOUND = 8  # times the first bound, which doubles with each replacement that did not become ready
_KILL_SECONDS = 5.0

Ready = Callable[[], Awaitable[bool]]


class ShuttingDownError(Exception):
    """The process answers that it is shutting down: it refuses new work and does not become ready again."""


@dataclass(frozen=True)
class Spec:
    """How to run one process."""

    name: str
    command: Sequence[str]
    ready: Ready
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: Sequence[str] = ()
    """The services that must be ready before this process can be; while they are not, it is not replaced."""
    healthy: Ready | None = None
    """Decides on its replacement where ``ready`` depends on other processes too."""
    unready_seconds: float = 15.0
    """How long it may be idle and unhealthy. Time in which it runs, or waits for a processor or disk, counts a sixth."""
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    """The signal it gets when the supervisor dies."""
    stop_seconds: float = 4.0
    account: pwd.struct_passwd | None = None
    """The user to run it as; None is the supervisor's own."""
    directory: Path | None = None
    port: int = 0
    metrics: str = ""
    """``host:port`` of its metrics for Prometheus; empty where it has none."""


class Child:
    """Keeps the process of ``spec`` alive and healthy until stopped. ``can_be_ready`` says whether what it needs is ready."""

    def __init__(self, spec: Spec, logs: Path, can_be_ready: Callable[[], bool] = lambda: True) -> None:
        self.spec = spec
        self.state = "waiting"
        self.restarts = 0
        self.pid = 0
        self.log = logs / f"{spec.name}.log"
        self._log = Log(self.log)
        self._can_be_ready = can_be_ready
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stopping = False
        self._bound = spec.unready_seconds
        self._fault = ""

    def start(self) -> None:
        """Start the process, also after ``stop``."""
        self._stopping = False
        self._ready.clear()
        self._task = asyncio.create_task(self._keep_alive())

    async def wait_ready(self, seconds: float | None) -> None:
        """Wait until the process answers; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._ready.wait()

    async def stop(self) -> None:
        """Ask the process to end, and kill it if it does not within its time."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            await self._end(self._process, self.spec.stop_seconds)
            if self._task is not None:  # it ends by itself once the output is copied
                await asyncio.wait([self._task], timeout=2.0)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_KILL_SECONDS)
        self.state = "stopped"

    async def _end(self, process: asyncio.subprocess.Process, seconds: float) -> None:
        self.state = "stopping"
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.spec.stop_signal)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            _kill_group(process.pid)
            try:
                async with asyncio.timeout(_KILL_SECONDS):
                    await process.wait()
            except TimeoutError:
                self._log.note(f"{self.spec.name} (pid {process.pid}) was killed and does not end")

    async def _keep_alive(self) -> None:
        backoff = _FIRST_BACKOFF
        while not self._stopping:
            started = time.monotonic()
            try:
                await self._run_once()
            except OSError as error:  # no such program, no more processes, no disk to log to
                self._log.note(f"{self.spec.name} cannot be started: {error}")
            if self._stopping:
                return
            self.restarts += 1
            self.state = "restarting"
            backoff = _FIRST_BACKOFF if time.monotonic() - started > _STEADY_SECONDS else min(backoff * 2, _LAST_BACKOFF)
            await asyncio.sleep(backoff)

    async def _run_once(self) -> None:
        self.state = "starting"
        # A pipe of our own: asyncio's would delay the end of the process until its children, which inherit it, have ended too.
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as output:
            try:
                process = self._process = await asyncio.create_subprocess_exec(
                    *launched(self.spec.command, self.spec.account, self.spec.orphan_signal),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=writing,
                    stderr=writing,
                    env=dict(self.spec.environment),
                    cwd=self.spec.directory,
                    start_new_session=True,
                )
            finally:
                os.close(writing)
            self.pid = process.pid
            watching, copying = asyncio.create_task(self._watch(process)), asyncio.create_task(self._log.copy(output))
            try:
                code = await process.wait()
            finally:
                _kill_group(process.pid)  # its children that are left
                self.pid = 0
                self._ready.clear()
                watching.cancel()
                await asyncio.wait([watching, copying], timeout=1.0)
                copying.cancel()
        if not self._stopping:
            self._log.note(f"{self.spec.name} ended with code {code}")

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """Update the state, and end the process once it has been unhealthy for too long, so that a new one replaces it."""
        patience = _Patience(process.pid, self._bound)
        try:
            while True:
                is_ready = await self._answers(self.spec.ready)
                is_healthy = is_ready or (self.spec.healthy is not None and await self._answers(self.spec.healthy))
                if self._stopping:
                    return
                self._set_ready(is_ready=is_ready)
                if is_healthy or not self._can_be_ready():
                    patience.renew()
                elif patience.is_over():
                    break
                await asyncio.sleep(_READY_POLL if is_ready else _UNREADY_POLL)
        except ShuttingDownError as error:
            if self._stopping:
                return
            self._log.note(f"{self.spec.name} is shutting down; restarting it: {error}")
        else:
            self._log.note(f"{self.spec.name} has not been ready for {self._bound:.0f} s; replacing it")
            self._bound = min(2 * self._bound, _LONGEST_BOUND * self.spec.unready_seconds)
        await self._end(process, self.spec.stop_seconds)

    async def _answers(self, probe: Ready) -> bool:
        try:
            return await probe()
        except ShuttingDownError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, there was no answer
            if str(error) != self._fault:
                self._fault = str(error)
                self._log.note(f"{self.spec.name} cannot be asked whether it is ready: {error!r}")
            return False

    def _set_ready(self, *, is_ready: bool) -> None:
        if is_ready:
            self.state = "ready"
            self._ready.set()
            self._bound = self.spec.unready_seconds
            self._fault = ""
        elif self._ready.is_set():
            self.state = "not ready"
            self._ready.clear()


class _Patience:
    """The time for which a process may go on without being healthy."""

    def __init__(self, pid: int, bound: float) -> None:
        self._activity = Activity(pid)
        self._bound = bound
        self.renew()

    def renew(self) -> None:
        self._spent = 0.0
        self._sampled: float | None = None

    def is_over(self) -> bool:
        """Return whether too much time has passed since the last renewal; time in which the process is at work counts less."""
        now = time.monotonic()
        if self._sampled is None:
            self._activity.is_busy()  # what it did before does not matter
            self._sampled = now
        elif now - self._sampled >= _SAMPLE_SECONDS:
            # Time in which the supervisor itself was stopped or starved does not count.
            elapsed = min(now - self._sampled, 2 * _SAMPLE_SECONDS)
            self._spent += elapsed * (_BUSY_RATE if self._activity.is_busy() else 1.0)
            self._sampled = now
        return self._spent >= self._bound


def launched(command: Sequence[str], account: pwd.struct_passwd | None = None, orphan_signal: signal.Signals = signal.SIGKILL) -> list[str]:
    """Return the command that runs ``command`` as ``account`` and ends it when this process dies."""
    owner = [str(account.pw_uid), str(account.pw_gid)] if account else ["-", "-"]
    return [sys.executable, "-I", "-S", str(_LAUNCH), str(orphan_signal.value), str(os.getpid()), *owner, *command]


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
