"""How far an operation is: counted in the commits, so that nothing is counted twice and a heartbeat waits for nothing."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from libs.rpc.timestamps import duration
from semantik.operation.v1 import operation_pb2
from services.collection.store.indexing.worklist import Item
from services.collection.worker.begun import Begun
from services.collection.worker.rate import Rate

_TICK_SECONDS = 1.0
# Before this much was seen there is nothing to go by.
_LEAST_SECONDS = 10.0
_LEAST_ARRIVALS = 3
# Nothing moves: nothing came for this long, nor for this many times the usual gap.
_SILENT_SECONDS = 15.0
_SILENT_GAPS = 3.0


class Progress:
    """Keeps the message that the heartbeat sends.

    ``message`` starts as what the operation had reached under earlier claims, and never goes back: a claim that lists its
    source again, or begins a long document again, shows more only once it is further than its predecessor was.
    """

    def __init__(self, message: operation_pb2.Progress, committed: Mapping[str, int], clock: Callable[[], float] = time.monotonic) -> None:
        self._message = message
        # The rate is this claim's own.
        self._message.tokens_per_second = 0.0
        self._message.ClearField("remaining")
        self._committed = Counter(committed)
        self.begun = Begun(self._show)
        """What was done of documents that have no end yet."""
        self._unchanged = 0
        self._unchanged_bytes = 0
        self._clock = clock
        self._rate = Rate()
        self._computed = 0
        self._observed: float | None = None

    def enter(self, phase: "operation_pb2.Progress.Phase.ValueType") -> None:
        """Show a stage, unless a later one was shown already."""
        self._message.phase = max(self._message.phase, phase)

    def unchanged(self, documents: int, size_bytes: int) -> None:
        """Count documents that are as they were."""
        self._unchanged += documents
        self._unchanged_bytes += size_bytes
        self._show()

    def ended(self, items: Sequence[Item], amounts: Mapping[str, int]) -> None:
        """Count what a transaction has committed of documents, in place of what was shown of them before."""
        self.begun.end(items)
        self.committed(amounts)

    def committed(self, amounts: Mapping[str, int]) -> None:
        """Count what a transaction has committed."""
        self._committed.update(amounts)
        self._show()

    def computing(self) -> None:
        """Start the clock of the rate: the embedder is at work."""
        if self._observed is None:
            self._observed = self._clock()

    def computed(self, tokens: int) -> None:
        """Count tokens for the rate: those of texts that the model has embedded for this claim."""
        self._computed += tokens

    def listed(self, documents: int, size_bytes: int) -> None:
        """Fix the totals once everything was listed: what waits and what this operation has ended, and what is as it was."""
        self._raise("documents_total", self._unchanged + documents)
        self._raise("bytes_total", self._unchanged_bytes + size_bytes)
        self._show()

    @asynccontextmanager
    async def ticking(self) -> AsyncIterator[None]:
        """Look at the rate every second for as long as the block runs."""
        ticker = asyncio.create_task(self._tick())
        try:
            yield
        finally:
            ticker.cancel()
            await asyncio.wait((ticker,))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.tick()

    def tick(self) -> None:
        """Take in what came since the last tick, and show the rate and the time left."""
        now = self._clock()
        if self._observed is None or now <= self._observed:
            return
        self._rate.observe(now - self._observed, self._computed)
        self._observed, self._computed = now, 0
        rate = self._rate
        is_silent = rate.silent_seconds > max(_SILENT_SECONDS, _SILENT_GAPS * rate.longest_gap_seconds)
        if is_silent or rate.arrivals < _LEAST_ARRIVALS or rate.observed_seconds < _LEAST_SECONDS:
            self._message.tokens_per_second = 0.0
            self._message.ClearField("remaining")
            return
        self._message.tokens_per_second = round(rate.per_second, 1)
        seconds = self._remaining_seconds()
        if seconds is None:
            self._message.ClearField("remaining")
        else:
            self._message.remaining.CopyFrom(duration(float(round(seconds))))

    def _remaining_seconds(self) -> float | None:
        """Return the seconds that the rest takes at this rate, if it has as many tokens to a byte as what is done."""
        size_bytes = self._committed["size_bytes"] + self.begun.size_bytes
        tokens = self._committed["tokens"] + self.begun.tokens
        if not self._message.bytes_total or not tokens or size_bytes <= 0:
            return None
        left = self._message.bytes_total - self._unchanged_bytes - size_bytes
        # What the model has embedded since the last batch came is not shown yet, but its time has passed.
        passed = min(self._rate.silent_seconds, self._rate.longest_gap_seconds)
        return max(1.0, left * tokens / size_bytes / self._rate.per_second - passed) if left > 0 else None

    def _done(self) -> int:
        return self._unchanged + sum(self._committed[name] for name in ("indexed", "skipped", "failed", "removed"))

    def _bytes_done(self) -> int:
        return self._unchanged_bytes + self._committed["size_bytes"]

    def _raise(self, name: str, value: int) -> None:
        setattr(self._message, name, max(getattr(self._message, name), value))

    def _show(self) -> None:
        committed = self._committed
        for name in ("indexed", "skipped", "failed", "removed"):
            self._raise(f"documents_{name}", committed[name])
        self._raise("documents_unchanged", self._unchanged)
        self._raise("documents_done", self._done())
        self._raise("bytes_done", self._bytes_done() + int(self.begun.size_bytes))
        self._raise("chunks", committed["chunks"])
        self._raise("chunks_embedded", committed["chunks"] + self.begun.chunks_embedded)
        self._raise("tokens", committed["tokens"] + self.begun.tokens)
        if self._message.documents_total:
            # Duplicates may be promoted after the totals were fixed.
            self._raise("documents_total", self._message.documents_done)
            self._raise("bytes_total", self._message.bytes_done)
            if self._done() + self.begun.documents >= self._message.documents_total:
                self._raise("chunks_total", committed["chunks"] + self.begun.chunks)
        if self._message.chunks_total:
            self._raise("chunks_total", self._message.chunks_embedded)
