"""How far a download is, as lines of JSON on standard output."""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any, Self

_REPORT_SECONDS = 0.2


class Progress:
    """Counts the bytes that are here; the hub's library takes it for the progress bar of each file."""

    def __init__(self) -> None:
        self.commit = ""
        self.total = 0
        self._complete = 0
        self._moving = 0

    @property
    def now(self) -> dict[str, Any]:
        return {"commit": self.commit, "done": self._complete + self._moving, "total": self.total}

    def bar(self, **_: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, count: float | None = 1) -> None:
        self._moving += int(count or 0)

    def complete(self, size: int) -> None:
        """Count a file that is whole; it may have come without any update, from the hub's own cache on this machine."""
        self._complete, self._moving = self._complete + size, 0

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """Print each change within the block, five times a second at most."""
        ended, parent = threading.Event(), os.getppid()

        def repeat() -> None:
            last: dict[str, Any] = self.now
            while not ended.wait(_REPORT_SECONDS):
                if os.getppid() != parent:
                    os._exit(1)  # the process that takes the model is gone
                if self.now != last:
                    last = self.now
                    report(**last)

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def report(**state: object) -> None:
    sys.stdout.write(json.dumps(state) + "\n")
    sys.stdout.flush()
