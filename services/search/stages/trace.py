"""What happened in one search: the time of each stage and how many points each list brought."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from libs.rpc.timestamps import duration
from semantik.search.v1.timings_pb2 import Timings
from services.search import metrics

_AUTHORIZE, _EMBED = "authorize", "embed"
# What the contract calls the query.
_QUERY = ("retrieve", "fuse", "read", "facets")


class Trace:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.points: dict[str, int] = {}
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to the stage ``name``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - started
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            metrics.stage_seconds.labels(name).observe(seconds)

    def timings(self) -> Timings:
        """Return the times so far, as the contract divides them."""
        timings = Timings(
            authorize=duration(self.seconds.get(_AUTHORIZE, 0.0)),
            query=duration(sum(self.seconds.get(name, 0.0) for name in _QUERY)),
            total=duration(time.perf_counter() - self._started),
        )
        if _EMBED in self.seconds:
            timings.embed.CopyFrom(duration(self.seconds[_EMBED]))
        return timings
