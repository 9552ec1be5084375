"""What a format knows about its text: where pages and sections begin, what is better kept in one chunk."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

# A pair of an offset and a title, about.
_HEADING_BYTES = 200


@dataclass(frozen=True)
class Landmarks:
    """Offsets in characters of the text, in order.

    ``pages`` and ``headings`` are where those begin, ``breaks`` where a new chunk preferably begins, ``blocks`` the ranges
    (a listing in a Markdown text) that are not cut at their blank lines.
    """

    pages: Sequence[int] = ()
    headings: Sequence[tuple[int, str]] = ()
    breaks: Sequence[int] = ()
    blocks: Sequence[tuple[int, int]] = ()

    @property
    def size_bytes(self) -> int:
        """The memory it occupies, roughly."""
        return 40 * (len(self.pages) + len(self.breaks)) + _HEADING_BYTES * len(self.headings) + 120 * len(self.blocks)

    def page(self, offset: int) -> int:
        """Return the number of the page at ``offset``, from 1; 0 where there are none."""
        return bisect_right(self.pages, offset)

    def section(self, offset: int) -> str:
        """Return the nearest heading at or before ``offset``."""
        count = bisect_right(self._heading_starts, offset)
        return self.headings[count - 1][1] if count else ""

    @cached_property
    def _heading_starts(self) -> list[int]:
        return [start for start, _ in self.headings]
