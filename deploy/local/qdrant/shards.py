"""The engine's shards: one for each collection, opened on use, flushed while written to, closed when idle."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import qdrant_edge as edge

from deploy.local.qdrant import paging
from deploy.local.qdrant.folders import Folders, write_out
from deploy.local.qdrant.values import RefusedError
from libs.telemetry import failures

log = logging.getLogger(__name__)
_IDLE_SECONDS = 300.0
# An open one has some 250 of the 65,530 mappings that Linux gives a process, and 5 MiB.
_MOST_OPEN = 128
_TEND_SECONDS = 5.0
# A flush holds up every search for 30 to 250 ms; after a crash, what was written since is read again from the log.
_FLUSH_SECONDS = 30.0
_CLOSE_SECONDS = 10.0
_WRONG = ("Vector dimension error", "Not existing vector name", "Validation failed", "Wrong input", "No appropriate index")
_FULL = "(os error 28)"
_T = TypeVar("_T")


@dataclass
class Journal:
    """The writes since a copy of a shard's files was taken; ``full`` is set beyond ``capacity`` points, which bounds the memory."""

    capacity: int
    writes: list[Any] = field(default_factory=list)
    points: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, operation: Any, points: int) -> None:
        self.points += points
        if self.points > self.capacity:
            self.full.set()
        else:
            self.writes.append(operation)


@dataclass
class Open:
    """An open shard.

    ``is_logged`` says whether its log of writes is on the disk, ``flushed`` when all else was. ``journal`` is None while there is
    no copy; ``indexing_tried`` is how many points were not compressed after the last attempt.
    """

    shard: Any
    users: int = 0
    last_used: float = field(default_factory=time.monotonic)
    is_dirty: bool = False
    is_logged: bool = True
    flushed: float = field(default_factory=time.monotonic)
    journal: Journal | None = None
    indexing_tried: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def used(self) -> Iterator[Any]:
        """Hold the shard open; the engine's complaints about a request become INVALID_ARGUMENT, of a full disk RESOURCE_EXHAUSTED."""
        self.users += 1
        try:
            yield self.shard
        except Exception as error:
            if (refused := _refused(error)) is not None:
                raise refused from error
            raise
        finally:
            self.users -= 1
            self.last_used = time.monotonic()
            self.unused.set()

    async def close(self) -> None:
        """Close it, once the last reader is done; the caller has made sure that no new one comes."""
        while self.users:
            self.unused.clear()
            await self.unused.wait()
        await asyncio.to_thread(self.shard.close)
        self.closed.set()


def _refused(error: Exception) -> RefusedError | None:
    """Return what an error of the engine says to the caller; it raises bare exceptions with a text."""
    if type(error) is not Exception:
        return None
    if str(error).startswith(_WRONG):
        return RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {error}")
    if _FULL in str(error):
        return RefusedError(grpc.StatusCode.RESOURCE_EXHAUSTED, "No space left on device: free some and try again")
    return None


class Shards:
    """Writes of one collection run one by one, and end even if their caller is gone.

    The engine holds the interpreter's lock throughout a call, so nothing runs beside a read or write, and a thread for it
    would only cost the switch. The locks keep writes apart from opening, copying and closing.

    ``points_written`` counts the points of all upserts so far.
    """

    def __init__(self, folders: Folders, most_open: int = _MOST_OPEN) -> None:
        self.folders = folders
        self._most_open = most_open
        self.points_written = 0
        self._open: dict[str, Open] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def locked(self, name: str) -> asyncio.Lock:
        """Return the lock under which a collection is opened, written, copied, switched and closed."""
        return self._locks.setdefault(name, asyncio.Lock())

    def opened(self) -> dict[str, Open]:
        """Return the shards that are open now."""
        return dict(self._open)

    async def create(self, name: str, engine: Any, config: dict[str, Any]) -> None:
        """Make a collection; raises ALREADY_EXISTS."""

        async def work() -> None:
            async with self.locked(name):
                await asyncio.to_thread(self.folders.make, name, engine, config)

        await self._finish(work())

    async def delete(self, name: str) -> bool:
        """Drop a collection; False if there is none."""

        async def work() -> bool:
            async with self.locked(name):
                if not self.folders.exists(name):
                    return False
                gone = self.folders.forget(name)
                held = self._open.pop(name, None)
                if held is not None:
                    await held.close()
                # What is left is removed at the next start.
                await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
                return True

        return await self._finish(work())

    async def read(self, name: str, work: Callable[[Any], _T]) -> _T:
        """Run ``work`` on the collection's shard; raises NOT_FOUND, INVALID_ARGUMENT."""
        while (held := self._open.get(name)) is None:
            await self._finish(self._load_locked(name))
        with held.used() as shard:
            return work(shard)

    async def write(self, name: str, operation: Any, *, grows: bool = False, points: int = 0) -> None:
        """Apply an update that writes ``points``; it is in the write-ahead log when this returns.

        Raises NOT_FOUND, INVALID_ARGUMENT, and RESOURCE_EXHAUSTED where it would grow a full disk.
        """

        async def work() -> None:
            async with self.locked(name):
                held = await self._load(name)
                with held.used() as shard:
                    shard.update(operation)
                held.is_dirty, held.is_logged = True, False
                if held.journal is not None:
                    held.journal.append(operation, points)

        if grows:
            self.folders.check_space()
        await self._finish(work())
        self.points_written += points

    async def _load_locked(self, name: str) -> None:
        async with self.locked(name):
            await self._load(name)

    async def _load(self, name: str) -> Open:
        path = self.folders.shard(name)
        if name not in self._open:
            self.folders.check_space_to_open()
            try:
                shard = await asyncio.to_thread(edge.EdgeShard.load, str(path))
            except Exception as error:
                if (refused := _refused(error)) is not None:
                    raise refused from error
                raise
            self._open[name] = Open(shard)
            held = self._open[name]
            with held.used():
                await asyncio.to_thread(paging.release_holes, path)
                await self._make_room()
        return self._open[name]

    async def _make_room(self) -> None:
        """Close what was unused for longest while too many are open; what is in use, or locked by somebody, stays."""
        for name, held in sorted(self.opened().items(), key=lambda each: each[1].last_used):
            if len(self._open) <= self._most_open:
                return
            if held.users or held.journal is not None or self.locked(name).locked():
                continue
            async with self.locked(name):
                if self._open.get(name) is held:
                    try:
                        await self._shut(name, held)
                    except Exception as error:  # noqa: BLE001 - the engine raises bare ones, of a full disk too
                        held.is_dirty, held.is_logged = True, False
                        failures.record(log, "engine_flush", f"cannot flush {name}", error)

    async def _shut(self, name: str, held: Open) -> None:
        """Flush and close a shard, unless somebody begins to use it meanwhile; the caller holds the lock."""
        if held.is_dirty:
            held.is_dirty = False
            await asyncio.to_thread(held.shard.flush)
        if not held.users and not held.is_dirty:
            del self._open[name]
            await held.close()

    def replace(self, name: str, shard: Any) -> Open:
        """Serve a collection from another shard from now on; the caller holds the lock."""
        self._open[name] = Open(shard, is_dirty=True, is_logged=False)
        return self._open[name]

    async def tend(self) -> None:
        """Bring what was written to the disk and close what nobody used for a while, until cancelled.

        After 5 s the log is there, after 30 s all is. Without flushes the log of writes grows, and all of it is replayed when the
        shard is opened after a crash.
        """
        while True:
            await asyncio.sleep(_TEND_SECONDS)
            for name, seen in self.opened().items():
                async with self.locked(name):
                    if self._open.get(name) is seen:
                        try:
                            await self._tend(name, seen)
                        except Exception as error:  # noqa: BLE001 - the engine raises bare ones, of a full disk too
                            seen.is_dirty, seen.is_logged = True, False
                            failures.record(log, "engine_flush", f"cannot flush {name}", error)

    async def _tend(self, name: str, held: Open) -> None:
        path = self.folders.shard(name)
        if held.is_dirty and time.monotonic() - held.flushed > _FLUSH_SECONDS:
            held.is_dirty, held.is_logged = False, True
            # Most of it without the interpreter's lock, so that the flush finds little to do.
            await asyncio.to_thread(write_out, path)
            await asyncio.to_thread(held.shard.flush)
            held.flushed = time.monotonic()
        elif not held.is_logged:
            held.is_logged = True
            await asyncio.to_thread(write_out, path / "wal")
        elif held.users == 0 and held.journal is None and time.monotonic() - held.last_used > _IDLE_SECONDS:
            await self._shut(name, held)

    async def close(self) -> None:
        """Flush and close everything, after the writes under way."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
        for name in list(self._open):
            async with self.locked(name):
                held = self._open.pop(name)
                await asyncio.to_thread(held.shard.flush)
                await held.close()

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Await ``work``; it goes on to its end when the caller is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits for it any more
