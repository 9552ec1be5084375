"""The log of a random run: every step and fault, with its moment."""

import sys
import time
from collections import Counter
from pathlib import Path


class Journal:
    """Writes lines to a file; counts them by kind; keeps what was found."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w")
        self._started = time.monotonic()
        self.path = path
        self.counts: Counter[str] = Counter()
        self.found: list[tuple[str, str]] = []

    def note(self, kind: str, who: str, text: str) -> None:
        self.counts[kind] += 1
        self._file.write(f"{time.monotonic() - self._started:8.1f} {kind:6} {who:12} {text}\n")
        self._file.flush()

    def find(self, kind: str, text: str) -> None:
        """Note what must not be."""
        self.note("FOUND", kind, text)
        self.found.append((kind, text))
        sys.stderr.write(f"faults: FOUND {kind}: {text}\n")
