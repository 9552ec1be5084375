"""One line of a terminal that is drawn again and again in its place."""

import sys

from rich.console import Console
from rich.text import Text

_BELOW = "\x1b[J"  # erases from the cursor to the end of the screen
_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


class LiveLine:
    """A line of standard output, cut to the terminal's width.

    The cursor rests on the line's first column. There it stays when the terminal is resized, whether that cuts the line or breaks it in
    two, so that the next drawing erases all of it.
    """

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, highlight=False)
        self._is_drawn = False

    @property
    def width(self) -> int:
        """The columns that a line may have: the last one stays free, so that no terminal wraps."""
        return self._console.width - 1

    def draw(self, line: Text) -> None:
        """Draw the line in the place of the last one."""
        with self._console.capture() as captured:
            self._console.print(line, end="", no_wrap=True, overflow="ellipsis", width=self.width)
        self._write(("" if self._is_drawn else _HIDE) + captured.get() + _BELOW + "\r")
        self._is_drawn = True

    def erase(self) -> None:
        """Leave nothing of it."""
        if self._is_drawn:
            self._write(_BELOW + _SHOW)
            self._is_drawn = False

    def _write(self, codes: str) -> None:
        sys.stdout.write(codes)
        sys.stdout.flush()
