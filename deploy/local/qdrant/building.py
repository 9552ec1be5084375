"""Gives large collections an HNSW index without making a search or, for long, a write wait.

The shard's files are copied, a child process indexes the copy, the writes since are replayed into it, and the collection
switches to it in one step. A crash anywhere leaves the collection on the shard it had.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import qdrant_edge as edge

from deploy.local import launch
from deploy.local.qdrant.shards import Open, Shards
from deploy.local.qdrant.values import RefusedError

log = logging.getLogger(__name__)
_FEW_WRITES = 16
_PART = 64


class Builder:
    """Builds wherever ``threshold`` more points lack an index than after the last attempt, one collection at a time."""

    def __init__(self, shards: Shards, threshold: int) -> None:
        self._shards = shards
        self._threshold = threshold

    async def run(self) -> None:
        """Look after every write, for ever; a failure leaves the collection as it was."""
        while True:
            await self._shards.grown.wait()
            self._shards.grown.clear()
            for name, held in self._shards.opened().items():
                try:
                    await self._consider(name, held)
                except RefusedError as error:
                    log.warning("cannot build the index of %s: %s", name, error)
                except Exception:
                    if not held.closed.is_set():
                        log.exception("cannot build the index of %s", name)

    async def _consider(self, name: str, held: Open) -> None:
        unindexed = _unindexed(held.shard)
        if unindexed - held.indexing_tried >= self._threshold:
            held.indexing_tried = unindexed
            await self._build(name, held)

    async def _build(self, name: str, held: Open) -> None:
        async with self._shards.locked(name):
            if self._shards.opened().get(name) is not held:
                return
            await asyncio.to_thread(held.shard.flush)
            copy = await asyncio.to_thread(self._shards.folders.copy_shard, name)
            held.journal = []
        try:
            if await _indexed(copy, held):
                copy = await self._switch(name, held, copy)
        finally:
            held.journal = None
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)

    async def _switch(self, name: str, held: Open, copy: Path) -> Path:
        """Bring the copy up to date and serve from it; return the folder that is left over."""
        fresh = await asyncio.to_thread(edge.EdgeShard.load, str(copy))
        left_over = _unindexed(fresh)
        while len(held.journal or ()) > _FEW_WRITES:
            await _replay(held, fresh)
        async with self._shards.locked(name):
            if self._shards.opened().get(name) is not held:
                await asyncio.to_thread(fresh.close)
                return copy
            while held.journal:
                await _replay(held, fresh)
            before = self._shards.folders.switch(name)
            self._shards.replace(name, fresh).indexing_tried = left_over
        await held.close()
        log.info("%s has an index over %d points", name, fresh.info().indexed_vectors_count)
        return before


def _unindexed(shard: Any) -> int:
    info = shard.info()
    return int(info.points_count - info.indexed_vectors_count)


async def _replay(held: Open, fresh: Any) -> None:
    """Apply a part of the journal; flushing it in parts keeps each one short."""
    journal = held.journal or []
    writes, held.journal = journal[:_PART], journal[_PART:]
    for operation in writes:
        await asyncio.to_thread(fresh.update, operation)
    await asyncio.to_thread(fresh.flush)


async def _indexed(copy: Path, held: Open) -> bool:
    """Run the child on ``copy`` to its end; False if it failed or the collection is gone."""
    program = [sys.executable, "-P", "-m", "deploy.local.qdrant.build", str(copy)]
    # Under the launcher it dies with this process.
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(signal.SIGKILL.value), str(os.getpid()), "-", "-"]
    child = await asyncio.create_subprocess_exec(*launcher, *program, stdin=asyncio.subprocess.DEVNULL)
    ended, gone = asyncio.create_task(child.wait()), asyncio.create_task(held.closed.wait())
    try:
        await asyncio.wait([ended, gone], return_when=asyncio.FIRST_COMPLETED)
        return child.returncode == 0
    finally:
        gone.cancel()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await ended
