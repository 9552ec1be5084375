"""Processor time of a mesh's processes, children included."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil

from tests.faults.mesh import LocalMesh

_SAMPLE_SECONDS = 0.5


class Cpu:
    """Seconds of processor time by the name of the process, between the beginning of a block and its end."""

    def __init__(self, mesh: LocalMesh) -> None:
        self._mesh = mesh
        self._first: dict[tuple[int, float], float] = {}
        self._last: dict[tuple[int, float], float] = {}
        self._names: dict[tuple[int, float], str] = {}

    @property
    def seconds(self) -> dict[str, float]:
        spent: dict[str, float] = defaultdict(float)
        for key, value in self._last.items():
            spent[self._names[key]] += value - self._first.get(key, 0.0)
        return {name: round(value, 1) for name, value in sorted(spent.items(), key=lambda item: -item[1]) if value >= 0.05}

    def sample(self, *, is_first: bool = False) -> None:
        for process in self._mesh.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                root = psutil.Process(process.pid)
                for each in (root, *root.children(recursive=True)):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        times, key = each.cpu_times(), (each.pid, each.create_time())
                        self._names[key] = process.name
                        self._last[key] = times.user + times.system
                        if is_first:
                            self._first[key] = self._last[key]


@asynccontextmanager
async def measured(mesh: LocalMesh) -> AsyncIterator[Cpu]:
    """Measure for the length of the block."""
    cpu = Cpu(mesh)
    await asyncio.to_thread(cpu.sample, is_first=True)

    async def keep() -> None:
        while True:
            await asyncio.sleep(_SAMPLE_SECONDS)
            await asyncio.to_thread(cpu.sample)

    task = asyncio.create_task(keep())
    try:
        yield cpu
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.to_thread(cpu.sample)
