"""Workers run by hand beside a mesh whose own worker is parked, each with the environment a case needs."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.local import launch
from deploy.local.ports import is_free
from tests.faults.mesh import LocalMesh

# The queue that a parked mesh's own worker asks for work.
PARKED = {"QUEUE": "parked"}
# Small batches, so that there is a middle to die in.
SMALL = {"BATCH_TOKENS": "512"}
_numbers = itertools.count(1)
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Worker:
    process: asyncio.subprocess.Process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.returncode is None

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def ends(self, seconds: float) -> int:
        """Wait for its end; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            return await self.process.wait()


class Workers:
    """The workers of one block; all are stopped at its end."""

    def __init__(self, mesh: LocalMesh) -> None:
        self._mesh = mesh
        self._running: list[Worker] = []

    async def start(self, failpoints: str = "", **environment: str) -> Worker:
        """Start one; it dies at its ``failpoints`` (``after_upsert:kill@2``)."""
        settings = {**self._mesh.environment("worker"), **environment}
        settings.pop("QUEUE", None)
        settings["LISTEN_ADDRESS"], settings["METRICS_ADDRESS"] = (f"127.0.0.1:{_port()}" for _ in range(2))
        if failpoints:
            settings["FAILPOINTS"] = failpoints
        launcher = [sys.executable, "-I", "-S", str(launch.__file__), str(signal.SIGKILL.value), str(os.getpid()), "-", "-"]
        with (self._mesh.home.logs / f"by-hand-{next(_numbers)}.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(*launcher, sys.executable, "-P", "-m", "services.collection.worker"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=settings,
                cwd=self._mesh.home.path,
                start_new_session=True,
            )
        worker = Worker(process)
        self._running.append(worker)
        return worker

    async def stop(self) -> None:
        for worker in self._running:
            if worker.is_alive:
                worker.signal(signal.SIGCONT)
                worker.signal(signal.SIGTERM)
        for worker in self._running:
            try:
                await worker.ends(_STOP_SECONDS)
            except TimeoutError:
                worker.signal(signal.SIGKILL)
                await worker.process.wait()
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(worker.pid, signal.SIGKILL)  # readers it left, as the supervisor does


@asynccontextmanager
async def by_hand(mesh: LocalMesh) -> AsyncIterator[Workers]:
    workers = Workers(mesh)
    try:
        yield workers
    finally:
        await workers.stop()


def _port() -> int:
    return next(port for port in range(32_100 + next(_numbers) % 300, 32_760) if is_free(port))
