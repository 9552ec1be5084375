"""Measures how far an operation is, from the rows."""

import time
from collections import deque

from libs.rpc.timestamps import duration
from semantik.operation.v1 import operation_pb2
from services.collection.store import indexing
from services.collection.worker.job import Job

_WINDOW_SECONDS = 10.0
# Counting may take this part of the time, however many rows there are.
_SHARE = 0.1


class Progress:
    """``phase`` is set by the work; rate and time left come from the last seconds."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._samples: deque[tuple[float, int, int]] = deque()
        self.phase: operation_pb2.Progress.Phase.ValueType = operation_pb2.Progress.PHASE_LISTING
        self.removed = 0
        self._last = operation_pb2.Progress()
        self._next = 0.0

    async def sample(self) -> operation_pb2.Progress:
        """Return the progress as of now or a moment ago, so that asking often costs little however many rows there are."""
        began = time.monotonic()
        if began >= self._next:
            self._last = await self.measure()
            self._next = began + (time.monotonic() - began) / _SHARE
        return self._last

    async def measure(self) -> operation_pb2.Progress:
        """Return the progress as of now."""
        job = self._job
        async with job.tools.sessions() as session:
            counted = await indexing.progress(session, job.collection_id, job.source_id, job.generation.generation, job.since)
        progress = operation_pb2.Progress(phase=self.phase, documents_removed=self.removed)
        for name, count in counted.items():
            setattr(progress, name, count)
        self._samples.append((time.monotonic(), progress.tokens, progress.bytes_done))
        while self._samples[-1][0] - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        (start, tokens, done), (end, last_tokens, last_done) = self._samples[0], self._samples[-1]
        if end > start and self.phase == operation_pb2.Progress.PHASE_INDEXING:
            progress.tokens_per_second = round((last_tokens - tokens) / (end - start), 1)
            rate = (last_done - done) / (end - start)
            if rate > 0:
                progress.remaining.CopyFrom(duration((progress.bytes_total - progress.bytes_done) / rate))
        return progress
