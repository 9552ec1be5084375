"""Compresses the vectors of large collections without making a search or, for long, a write wait.

The shard's files are copied, a child process compresses the copy's, the writes since are replayed into it, and the collection
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
from deploy.local.qdrant import metrics, paging
from deploy.local.qdrant.shards import Journal, Open, Shards

log = logging.getLogger(__name__)
_FEW_WRITES = 16
_PART = 64
# Fewer upserts than this are quiet.
_QUIET_POINTS_PER_SECOND = 20
# The part of the points that has to be new before a collection is built again, unless nothing was written for a minute.
_GROWTH = 0.25
_LONG_QUIET_LOOKS = 12


class BuildError(Exception):
    """A build that came to nothing; the collection is as it was."""


class GivenUpError(BuildError):
    """More was written meanwhile than is kept for a replay; the next quiet moment may do."""


class Builder:
    """Builds where at least ``threshold`` more points are not compressed than after the last attempt, one collection at a time.

    It waits for ``look_seconds`` with hardly an upsert to any collection: a build takes the processor from what embeds for an
    index, and what it did would soon be a small part again. Until then searches compare with the whole vectors of the
    others, which takes four times as long and is exact. A build during which more than ``journal_points`` are written is
    given up, and due again.
    """

    def __init__(self, shards: Shards, threshold: int, look_seconds: float, journal_points: int) -> None:
        self._shards = shards
        self._journal_points = journal_points
        self._threshold = threshold
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Look after the open collections until cancelled; a failure leaves a collection as it was."""
        quiet_looks = 0
        while True:
            before = self._shards.points_written
            await asyncio.sleep(self._look_seconds)
            is_quiet = self._shards.points_written - before < _QUIET_POINTS_PER_SECOND * self._look_seconds
            quiet_looks = quiet_looks + 1 if is_quiet else 0
            for name, held in self._shards.opened().items() if is_quiet else ():
                growth = _GROWTH if quiet_looks < _LONG_QUIET_LOOKS else 0.0
                if not held.closed.is_set() and self._is_due(held, growth):
                    await self._try(name, held)

    def _is_due(self, held: Open, growth: float) -> bool:
        unindexed = _unindexed(held.shard)
        return bool(unindexed - held.indexing_tried >= self._threshold and unindexed >= growth * held.shard.info().points_count)

    async def _try(self, name: str, held: Open) -> None:
        tried = _unindexed(held.shard)
        try:
            with metrics.build_seconds.time():
                await self._build(name, held)
        except GivenUpError as error:
            metrics.builds.labels("given_up").inc()
            log.info("%s is not compressed yet: %s", name, error)
        except Exception as error:
            held.indexing_tried = tried
            if not held.closed.is_set():
                metrics.builds.labels("failed").inc()
                log.warning("cannot compress %s", name, exc_info=error)
        else:
            metrics.builds.labels("built").inc()

    async def _build(self, name: str, held: Open) -> None:
        async with self._shards.locked(name):
            if self._shards.opened().get(name) is not held:
                return
            await asyncio.to_thread(held.shard.flush)
            copy = await asyncio.to_thread(self._shards.folders.copy_shard, name)
            journal = held.journal = Journal(self._journal_points)
        try:
            await _run_child(copy, held, journal)
            copy = await self._switch(name, held, journal, copy)
        finally:
            held.journal = None
            await asyncio.to_thread(shutil.rmtree, copy, ignore_errors=True)

    async def _switch(self, name: str, held: Open, journal: Journal, copy: Path) -> Path:
        """Bring the copy up to date and serve from it; return the folder that is left over."""
        fresh = await asyncio.to_thread(edge.EdgeShard.load, str(copy))
        await asyncio.to_thread(paging.release_holes, copy)
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
        log.info("%s has compressed %d points more", name, indexed)
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
    """Compress ``copy``; raises BuildError if that fails or the collection is closed, GivenUpError if too much is written meanwhile."""
    program = [sys.executable, "-P", "-m", "deploy.local.qdrant.build", str(copy)]
    # Under the launcher it dies with this process.
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(signal.SIGKILL.value), str(os.getpid()), "-", "-"]
    child = await asyncio.create_subprocess_exec(*launcher, *program, stdin=asyncio.subprocess.DEVNULL)
    ended = asyncio.create_task(child.wait())
    stops = [asyncio.create_task(event.wait()) for event in (held.closed, journal.full)]
    try:
        await asyncio.wait([ended, *stops], return_when=asyncio.FIRST_COMPLETED)
        if journal.full.is_set():
            raise GivenUpError("too much is written meanwhile; it waits for the next quiet moment")
        if child.returncode != 0:
            raise BuildError(f"the process that builds ended with {child.returncode}")
    finally:
        for stop in stops:
            stop.cancel()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await ended
