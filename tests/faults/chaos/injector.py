"""Faults at random: kills, terminations, freezes, full disks, refused roles, a flushed Redis."""

import asyncio
import contextlib
import os
import random
import signal
import time

import psycopg

from tests.faults.chaos.journal import Journal
from tests.faults.mesh import LocalMesh

_GAP_SECONDS = (2.0, 10.0)
_FROZEN_SECONDS = (1.0, 15.0)
_FULL_SECONDS = (2.0, 8.0)
_ROLES = ("auth", "collection", "operation")


class Injector:
    """Hurts one mesh; what it has frozen, filled or locked is set right at the end."""

    def __init__(self, mesh: LocalMesh, journal: Journal, source: random.Random) -> None:
        self._mesh = mesh
        self._journal = journal
        self._random = source

    async def run(self, end: float) -> None:
        faults = [(10, self._kill), (5, self._terminate), (5, self._freeze), (2, self._fill), (1, self._lock)]
        try:
            while time.monotonic() < end:
                await asyncio.sleep(self._random.uniform(*_GAP_SECONDS))
                [(_, fault)] = self._random.choices(faults, [weight for weight, _ in faults])
                try:
                    await fault()
                except psycopg.OperationalError as error:
                    self._journal.note("fault", "-", f"Postgres cannot be reached: {error}")
        finally:
            await self._mend()

    def _any(self) -> str:
        names = [process.name for process in self._mesh.processes()]
        return self._random.choice([*names, "worker", "worker", "qdrant"]) if names else "worker"

    async def _kill(self) -> None:
        name = self._any()
        self._journal.note("fault", name, f"SIGKILL {self._mesh.signal(name, signal.SIGKILL)}")

    async def _terminate(self) -> None:
        name = self._any()
        self._journal.note("fault", name, f"SIGTERM {self._mesh.signal(name, signal.SIGTERM)}")

    async def _freeze(self) -> None:
        name, seconds = self._any(), self._random.uniform(*_FROZEN_SECONDS)
        pid = self._mesh.signal(name, signal.SIGSTOP)
        self._journal.note("fault", name, f"SIGSTOP {pid} for {seconds:.1f} s")
        try:
            await asyncio.sleep(seconds)
        finally:
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    async def _fill(self) -> None:
        disk, seconds = (
            self._random.choice((self._mesh.objects, self._mesh.vectors, self._mesh.temporary)),
            self._random.uniform(*_FULL_SECONDS),
        )
        if not disk.is_limited:
            return
        self._journal.note("fault", disk.path.name, f"is full for {seconds:.1f} s")
        try:
            disk.fill()
            await asyncio.sleep(seconds)
        finally:
            disk.free()

    async def _lock(self) -> None:
        role, seconds = self._random.choice(_ROLES), self._random.uniform(*_FULL_SECONDS)
        self._journal.note("fault", role, f"the role is refused for {seconds:.1f} s")
        await self._mesh.execute(f"ALTER ROLE {role} NOLOGIN")
        try:
            await self._mesh.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")  # noqa: S608 - one of three
            await asyncio.sleep(seconds)
        finally:
            await self._unlock()

    async def _mend(self) -> None:
        for disk in (self._mesh.objects, self._mesh.vectors, self._mesh.temporary):
            disk.free()
        await self._unlock()

    async def _unlock(self) -> None:
        """Let every role in again, as soon as Postgres can be told."""
        for _ in range(300):
            try:
                for role in _ROLES:
                    await self._mesh.execute(f"ALTER ROLE {role} LOGIN")
            except psycopg.Error:
                await asyncio.sleep(0.2)
            else:
                return
