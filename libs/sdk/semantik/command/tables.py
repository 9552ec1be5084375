"""Tables that fit the terminal: columns stand in order of need, and on a narrow one the last are left out, but never ids."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

_LEAST = 16  # columns of the terminal that the first column keeps
_GAP = 2


class Columns:
    """A table that rich can print. The first column folds; the others are shown whole or, also where they are empty, not at all."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._kept = [index for index, name in enumerate(names) if index == 0 or name == "ID"]
        self._rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """Add a row of markup: a text of others must be escaped. Cells beyond the last column are ignored."""
        self._rows.append(cells)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.table import Table

        shown = self._fitting(options.max_width)
        table = Table(box=None, header_style="bold", padding=(0, _GAP, 0, 0), pad_edge=False)
        for index in shown:
            table.add_column(self._names[index], overflow="fold", no_wrap=index > 0)
        for cells in self._rows:
            table.add_row(*(cells[index] for index in shown))
        yield table

    def _fitting(self, width: int) -> list[int]:
        widths = [max(_width(self._names[index]), *(_width(cells[index]) for cells in self._rows), 0) for index in range(len(self._names))]
        widths[0] = min(widths[0], _LEAST)
        shown = [index for index in range(len(widths)) if index == 0 or any(cells[index] for cells in self._rows)]
        for index in reversed(range(len(widths))):
            if sum(widths[place] + _GAP for place in shown) - _GAP > width and index not in self._kept:
                shown.remove(index)
        return shown


def table(*names: str) -> Columns:
    """Return an empty table with these columns."""
    return Columns(names)


def _width(markup: str) -> int:
    from rich.text import Text

    return Text.from_markup(markup).cell_len
