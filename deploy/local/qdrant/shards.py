"""The engine's shards: one for each collection, opened on use, flushed while written to, closed when idle."""

import asyncio
import shutil
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import qdrant_edge as edge

from deploy.local.qdrant.folders import Folders
from deploy.local.qdrant.values import RefusedError

_IDLE_SECONDS = 300.0
_FLUSH_SECONDS = 5.0
_WRONG = ("Vector dimension error", "Not existing vector name", "Validation failed", "Wrong input")
_T = TypeVar("_T")


@dataclass
class Open:
    """An open shard.

    ``journal`` holds the writes since a copy of its files was taken, None while there is no copy; ``indexing_tried`` is how
    many points lacked an HNSW index after the last attempt to make one.
    """

    shard: Any
    users: int = 0
    last_used: float = field(default_factory=time.monotonic)
    is_dirty: bool = False
    journal: list[Any] | None = None
    indexing_tried: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextmanager
    def used(self) -> Iterator[Any]:
        """Hold the shard open; the engine's complaints about a request become INVALID_ARGUMENT."""
        self.users += 1
        try:
            yield self.shard
        except Exception as error:
            # The engine raises bare exceptions with a text.
            if type(error) is Exception and str(error).startswith(_WRONG):
                raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: {error}") from error
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


class Shards:
    """Reads run beside everything; writes of one collection run one by one, and end even if their caller is gone.

    The engine holds the interpreter's lock throughout a call, so calls never overlap inside it; the locks here keep the
    order of writes, and keep opening, copying and closing apart from them.
    """

    def __init__(self, folders: Folders) -> None:
        self.folders = folders
        self.grown = asyncio.Event()
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
            return await asyncio.to_thread(work, shard)

    async def write(self, name: str, operation: Any, *, grows: bool = False) -> None:
        """Apply an update; it is in the write-ahead log when this returns.

        Raises NOT_FOUND, INVALID_ARGUMENT, and RESOURCE_EXHAUSTED where it would grow a full disk.
        """

        async def work() -> None:
            async with self.locked(name):
                held = await self._load(name)
                with held.used() as shard:
                    await asyncio.to_thread(shard.update, operation)
                held.is_dirty = True
                if held.journal is not None:
                    held.journal.append(operation)

        if grows:
            self.folders.check_space()
        await self._finish(work())
        self.grown.set()

    async def _load_locked(self, name: str) -> None:
        async with self.locked(name):
            await self._load(name)

    async def _load(self, name: str) -> Open:
        path = self.folders.shard(name)
        if name not in self._open:
            self._open[name] = Open(await asyncio.to_thread(edge.EdgeShard.load, str(path)))
            self.grown.set()
        return self._open[name]

    def replace(self, name: str, shard: Any) -> Open:
        """Serve a collection from another shard from now on; the caller holds the lock."""
        self._open[name] = Open(shard, is_dirty=True)
        self.grown.set()
        return self._open[name]

    async def tend(self) -> None:
        """Flush what was written and close what nobody used for a while, for ever.

        Without flushes the log of writes grows, and all of it is replayed when the shard is opened after a crash.
        """
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            for name, seen in self.opened().items():
                async with self.locked(name):
                    if self._open.get(name) is seen:
                        await self._tend(name, seen)

    async def _tend(self, name: str, held: Open) -> None:
        if held.is_dirty:
            held.is_dirty = False
            await asyncio.to_thread(held.shard.flush)
        elif held.users == 0 and held.journal is None and time.monotonic() - held.last_used > _IDLE_SECONDS:
            del self._open[name]
            await held.close()

    async def close(self) -> None:
        """Flush and close everything."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
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
