"""How far an operation is: counted in the commits, so that nothing is counted twice and a heartbeat waits for nothing."""

import time
from collections import deque
from collections.abc import Mapping

from libs.rpc.timestamps import duration
from semantik.operation.v1 import operation_pb2

_WINDOW_SECONDS = 10.0


class Progress:
    """Keeps the message that the heartbeat sends.

    ``message`` starts as what the operation had reached under earlier claims, and never goes back: a claim that lists its
    source again shows more only once it is further than its predecessor was.
    """

    def __init__(self, message: operation_pb2.Progress, committed: Mapping[str, int]) -> None:
        self._message = message
        self._committed = dict(committed)
        self._unchanged = 0
        self._unchanged_bytes = 0
        self._embedded = self._committed.get("tokens", 0)
        self._samples: deque[tuple[float, int]] = deque()

    def enter(self, phase: "operation_pb2.Progress.Phase.ValueType") -> None:
        """Show a stage, unless a later one was shown already."""
        self._message.phase = max(self._message.phase, phase)

    def unchanged(self, documents: int, size_bytes: int) -> None:
        """Count documents that are as they were."""
        self._unchanged += documents
        self._unchanged_bytes += size_bytes
        self._show()

    def committed(self, amounts: Mapping[str, int]) -> None:
        """Count what a transaction has committed."""
        for name, amount in amounts.items():
            self._committed[name] = self._committed.get(name, 0) + amount
        # Vectors that a predecessor had embedded are committed without having been counted here.
        self._embedded = max(self._embedded, self._committed.get("tokens", 0))
        self._show()

    def embedded(self, tokens: int) -> None:
        """Count tokens that were embedded, committed or not: the rate moves also within a long document."""
        self._embedded += tokens
        now = time.monotonic()
        self._samples.append((now, self._embedded))
        while now - self._samples[0][0] > _WINDOW_SECONDS:
            self._samples.popleft()
        self._show()

    def listed(self, waiting: int, waiting_bytes: int) -> None:
        """Fix the totals: what is done and what waits, once everything was listed."""
        self._raise("documents_total", self._done() + waiting)
        self._raise("bytes_total", self._bytes_done() + waiting_bytes)
        self._show()

    def _done(self) -> int:
        return self._unchanged + sum(self._committed.get(name, 0) for name in ("indexed", "skipped", "failed", "removed"))

    def _bytes_done(self) -> int:
        return self._unchanged_bytes + self._committed.get("size_bytes", 0)

    def _raise(self, name: str, value: int) -> None:
        setattr(self._message, name, max(getattr(self._message, name), value))

    def _show(self) -> None:
        committed = self._committed
        for name in ("indexed", "skipped", "failed", "removed"):
            self._raise(f"documents_{name}", committed.get(name, 0))
        self._raise("documents_unchanged", self._unchanged)
        self._raise("documents_done", self._done())
        self._raise("bytes_done", self._bytes_done())
        self._raise("chunks", committed.get("chunks", 0))
        self._raise("tokens", max(committed.get("tokens", 0), self._embedded))
        if self._message.documents_total:
            # Duplicates may be promoted after the totals were fixed.
            self._raise("documents_total", self._message.documents_done)
            self._raise("bytes_total", self._message.bytes_done)
        self._show_rate()

    def _show_rate(self) -> None:
        if len(self._samples) < 2:
            return
        (start, first), (end, last) = self._samples[0], self._samples[-1]
        if end <= start:
            return
        rate = (last - first) / (end - start)
        self._message.tokens_per_second = round(rate, 1)
        tokens, size_bytes = self._committed.get("tokens", 0), self._committed.get("size_bytes", 0)
        if not (rate and tokens and size_bytes and self._message.bytes_total):
            return
        bytes_per_token = size_bytes / tokens
        left = self._message.bytes_total - self._message.bytes_done - (self._embedded - tokens) * bytes_per_token
        self._message.remaining.CopyFrom(duration(max(0.0, left) / (rate * bytes_per_token)))
