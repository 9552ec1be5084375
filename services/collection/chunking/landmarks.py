"""What a format knows about its text: where pages and sections begin, what had better stay together."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Landmarks:
    """All in characters of the text, in order.

    ``pages`` and ``headings`` say where those begin, ``breaks`` where a new chunk had best begin, ``blocks`` which ranges
    (a listing in a Markdown text) are not to be cut at their blank lines.
    """

    pages: Sequence[int] = ()
    headings: Sequence[tuple[int, str]] = ()
    breaks: Sequence[int] = ()
    blocks: Sequence[tuple[int, int]] = ()

    def page(self, offset: int) -> int:
        """Return the number of the page at ``offset``, from 1; 0 where there are none."""
        return bisect_right(self.pages, offset)

    def section(self, offset: int) -> str:
        """Return the nearest heading at or before ``offset``."""
        found = bisect_right(self._heading_starts, offset)
        return self.headings[found - 1][1] if found else ""

    @cached_property
    def _heading_starts(self) -> list[int]:
        return [start for start, _ in self.headings]
