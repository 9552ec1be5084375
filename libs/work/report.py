"""What the heartbeat of an attempt sends and only reads."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from semantik.operation.v1 import operation_pb2


class Report:
    """The state of one attempt. The work changes ``progress`` in place and calls ``advanced`` whenever anything moved."""

    def __init__(self, progress: operation_pb2.Progress | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.progress = operation_pb2.Progress()
        """Starts as the operation's stored progress."""
        if progress is not None:
            self.progress.CopyFrom(progress)
        self._clock = clock
        self._advanced = clock()
        self._waits: list[str] = []

    @property
    def wait_reason(self) -> str:
        """What the work waits for, for example "waits for search"; empty while it does not wait."""
        return f"waits for {self._waits[0]}" if self._waits else ""

    @property
    def idle_seconds(self) -> float:
        """Seconds since anything moved; 0 while the work waits for something."""
        return 0.0 if self._waits else self._clock() - self._advanced

    def advanced(self) -> None:
        """Restart the stall clock."""
        self._advanced = self._clock()

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that the work waits for ``what``, a name such as "search", for as long as the block runs.

        Several tasks may wait at once; the longest wait is shown.
        """
        self._waits.append(what)
        try:
            yield
        finally:
            self._waits.remove(what)
            self.advanced()
