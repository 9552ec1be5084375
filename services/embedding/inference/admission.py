"""The tokens that wait in a lane: bounded for all callers together."""

from collections.abc import Iterator
from contextlib import contextmanager

from libs.rpc.errors import Failure, overloaded
from services.embedding import metrics


class Place:
    """The tokens that one admitted call has in its lane."""

    def __init__(self, admission: "Admission", tokens: int) -> None:
        self._admission = admission
        self._tokens = 0
        self.recount(tokens)

    def recount(self, tokens: int) -> None:
        """Count ``tokens`` from now on, where they were estimated before; an admitted call is not refused any more."""
        self._admission.count(tokens - self._tokens)
        self._tokens = tokens


class Admission:
    """Refuses what is too much instead of queueing it. ``rate`` is the tokens/s of one thread until there is a measurement."""

    def __init__(self, lane: str, threads: int, queue_tokens: int, rate: float) -> None:
        self._lane = lane
        self._threads = threads
        self._limit = queue_tokens
        self._rate = rate
        self._waiting = 0

    @contextmanager
    def admitted(self, tokens: int) -> Iterator[Place]:
        """Hold a place for ``tokens`` while they are computed.

        Raises OVERLOADED (RESOURCE_EXHAUSTED) with the time the queue needs as RetryInfo; an idle lane takes anything.
        """
        if self._waiting and self._waiting + tokens > self._limit:
            raise self._overloaded("too much is waiting to be computed already", self._waiting + tokens - self._limit)
        place = Place(self, tokens)
        try:
            yield place
        finally:
            place.recount(0)

    def computed(self, tokens: int, seconds: float) -> None:
        """Learn how fast a thread is."""
        self._rate += 0.1 * (tokens / max(seconds, 1e-6) - self._rate)

    def count(self, tokens: int) -> None:
        self._waiting += tokens
        metrics.queued(self._lane, self._waiting)

    def _overloaded(self, message: str, excess: int) -> Failure:
        metrics.refused(self._lane)
        seconds = min(max(excess / (self._rate * self._threads), 0.1), 60.0)
        return overloaded(message, round(seconds, 1))
