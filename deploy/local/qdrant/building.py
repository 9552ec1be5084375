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
from deploy.local.qdrant import metrics
from deploy.local.qdrant.shards import Journal, Open, Shards

log = logging.getLogger(__name__)
_FEW_WRITES = 16
_PART = 64
# Fewer upserts than this are quiet.
_QUIET_POINTS_PER_SECOND = 20
# The part of the points that has to be new before an index is built again.
_GROWTH = 0.25


class BuildError(Exception):
    """A build that came to nothing; the collection is as it was."""


class Builder:
    """Builds an index where at least ``threshold`` more points lack one than after the last attempt, one collection at a time.

    It waits for ``look_seconds`` with hardly an upsert to any collection: a build takes the processor from what embeds for an
    index, and what it did would soon be a small part again. Until then searches compare with every point that has no index,
    which takes longer and is exact.
    """

    def __init__(self, shards: Shards, threshold: int, look_seconds: float) -> None:
        self._shards = shards
        self._threshold = threshold
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Look after the open collections until cancelled; a failure leaves a collection as it was."""
        while True:
            before = self._shards.points_written
            await asyncio.sleep(self._look_seconds)
            if self._shards.points_written - before < _QUIET_POINTS_PER_SECOND * self._look_seconds:
                for name, held in self._shards.opened().items():
                    if not held.closed.is_set() and self._is_due(held):
                        await self._try(name, held)

    def _is_due(self, held: Open) -> bool:
        info = held.shard.info()
        unindexed = _unindexed(held.shard)
        return bool(unindexed - held.indexing_tried >= self._threshold and unindexed >= _GROWTH * info.points_count)

    async def _try(self, name: str, held: Open) -> None:
        held.indexing_tried = _unindexed(held.shard)
        try:
            with metrics.build_seconds.time():
                await self._build(name, held)
        except Exception as error:
            if not held.closed.is_set():
                metrics.builds.labels("failed").inc()
                log.warning("cannot build the index of %s", name, exc_info=error)
        else:
            metrics.builds.labels("built").inc()

    async def _build(self, name: str, held: Open) -> None:
        async with self._shards.locked(name):
            if self._shards.opened().get(name) is not held:
                return
            await asyncio.to_thread(held.shard.flush)
            copy = await asyncio.to_thread(self._shards.folders.copy_shard, name)
            journal = held.journal = Journal()
        try:
            await _run_child(copy, held, journal)
            copy = await self._switch(name, held, journal, copy)
        finally:
            held.journal = None
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)

    async def _switch(self, name: str, held: Open, journal: Journal, copy: Path) -> Path:
        """Bring the copy up to date and serve from it; return the folder that is left over."""
        fresh = await asyncio.to_thread(edge.EdgeShard.load, str(copy))
        left_over = _unindexed(fresh)
        while len(journal.writes) > _FEW_WRITES:
            await _replay(journal, fresh)
        async with self._shards.locked(name):
            if self._shards.opened().get(name) is not held:
                await asyncio.to_thread(fresh.close)
                return copy
            while journal.writes:
                await _replay(journal, fresh)
            before = self._shards.folders.switch(name)
            self._shards.replace(name, fresh).indexing_tried = left_over
        indexed = fresh.info().indexed_vectors_count - held.shard.info().indexed_vectors_count
        await held.close()
        metrics.points_indexed.inc(max(0, indexed))
        log.info("%s has an index over %d points more", name, indexed)
        return before


def _unindexed(shard: Any) -> int:
    info = shard.info()
    return int(info.points_count - info.indexed_vectors_count)


async def _replay(journal: Journal, fresh: Any) -> None:
    """Apply a part of the journal; flushing it in parts keeps each one short."""
    writes, journal.writes = journal.writes[:_PART], journal.writes[_PART:]
    for operation in writes:
        fresh.update(operation)
        await asyncio.sleep(0)
    await asyncio.to_thread(fresh.flush)


async def _run_child(copy: Path, held: Open, journal: Journal) -> None:
    """Index ``copy``; raises BuildError if that fails, if too much is written meanwhile, or if the collection is closed."""
    program = [sys.executable, "-P", "-m", "deploy.local.qdrant.build", str(copy)]
    # Under the launcher it dies with this process.
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(signal.SIGKILL.value), str(os.getpid()), "-", "-"]
    child = await asyncio.create_subprocess_exec(*launcher, *program, stdin=asyncio.subprocess.DEVNULL)
    ended = asyncio.create_task(child.wait())
    stops = [asyncio.create_task(event.wait()) for event in (held.closed, journal.full)]
    try:
        await asyncio.wait([ended, *stops], return_when=asyncio.FIRST_COMPLETED)
        if journal.full.is_set():
            raise BuildError("too much is written meanwhile; it waits for the next quiet moment")
        if child.returncode != 0:
            raise BuildError(f"the process that builds ended with {child.returncode}")
    finally:
        for stop in stops:
            stop.cancel()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await ended
