"""The collections on disk: one engine shard each, opened on use and closed when idle."""

import asyncio
import json
import logging
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
import qdrant_edge as edge

from deploy.local.qdrant.values import RefusedError

log = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_CONFIG = "collection.json"
_IDLE_SECONDS = 300.0
_T = TypeVar("_T")


@dataclass
class _Open:
    shard: Any
    users: int = 0
    last_used: float = field(default_factory=time.monotonic)


class Shards:
    """Every collection is a folder below ``directory``. Reads run side by side, writes of one collection one by one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[str, _Open] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        directory.mkdir(parents=True, exist_ok=True)
        for leftover in directory.glob(".*"):
            shutil.rmtree(leftover)

    def names(self) -> list[str]:
        return sorted(path.name for path in self._directory.iterdir() if (path / _CONFIG).exists())

    def exists(self, name: str) -> bool:
        return bool(_NAME.fullmatch(name)) and (self._directory / name / _CONFIG).exists()

    def config(self, name: str) -> dict[str, Any]:
        """Return what the collection was created with; raises NOT_FOUND."""
        if not self.exists(name):
            raise RefusedError(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
        config: dict[str, Any] = json.loads((self._directory / name / _CONFIG).read_text())
        return config

    async def create(self, name: str, engine: Any, config: dict[str, Any]) -> None:
        """Make a collection, whole or not at all; raises ALREADY_EXISTS."""
        if not _NAME.fullmatch(name):
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, f"not a collection name: {name!r}")
        async with self._lock(name):
            if self.exists(name):
                raise RefusedError(grpc.StatusCode.ALREADY_EXISTS, f"Collection `{name}` already exists!")
            await asyncio.to_thread(self._make, name, engine, config)

    def _make(self, name: str, engine: Any, config: dict[str, Any]) -> None:
        fresh = self._directory / f".new-{uuid.uuid4().hex}"
        fresh.mkdir()
        shard = edge.EdgeShard.create(str(fresh), engine)
        shard.flush()
        shard.close()
        (fresh / _CONFIG).write_text(json.dumps(config))
        fresh.rename(self._directory / name)

    async def delete(self, name: str) -> bool:
        """Drop a collection; False if there is none."""
        async with self._lock(name):
            if not self.exists(name):
                return False
            gone = self._directory / f".gone-{uuid.uuid4().hex}"
            (self._directory / name).rename(gone)
            held = self._open.pop(name, None)
            if held is not None:
                await asyncio.to_thread(held.shard.close)
            await asyncio.to_thread(shutil.rmtree, gone)
            return True

    async def read(self, name: str, work: Callable[[Any], _T]) -> _T:
        """Run ``work`` on the collection's shard, beside other reads."""
        async with self._use(name) as shard:
            return await asyncio.to_thread(work, shard)

    async def write(self, name: str, operation: Any) -> None:
        """Apply an update; it is in the write-ahead log when this returns."""
        async with self._use(name) as shard, self._lock(name):
            await asyncio.to_thread(shard.update, operation)

    @asynccontextmanager
    async def _use(self, name: str) -> AsyncIterator[Any]:
        self.config(name)
        if name not in self._open:
            async with self._lock(name):
                if name not in self._open:
                    self.config(name)
                    self._open[name] = _Open(await asyncio.to_thread(edge.EdgeShard.load, str(self._directory / name)))
        held = self._open[name]
        held.users += 1
        try:
            yield held.shard
        finally:
            held.users -= 1
            held.last_used = time.monotonic()

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def close_idle(self) -> None:
        """Close what nobody used for a while, for ever: an open shard costs eight threads."""
        while True:
            await asyncio.sleep(_IDLE_SECONDS / 10)
            for name, held in list(self._open.items()):
                if held.users == 0 and time.monotonic() - held.last_used > _IDLE_SECONDS:
                    del self._open[name]
                    await asyncio.to_thread(held.shard.close)

    async def close(self) -> None:
        """Flush and close everything."""
        for name in list(self._open):
            held = self._open.pop(name)
            await asyncio.to_thread(held.shard.flush)
            await asyncio.to_thread(held.shard.close)
