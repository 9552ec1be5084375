"""The line that is drawn in place, as a terminal gets it."""

import re

import pytest
from rich.text import Text

from semantik.command.live import LiveLine


@pytest.mark.parametrize("columns", [45, 70, 120])
def test_a_line_leaves_the_cursor_at_its_start_and_nothing_behind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Then whatever the terminal makes of it when it is resized, the next drawing erases all of it."""
    monkeypatch.setenv("COLUMNS", str(columns))
    line = LiveLine()
    line.draw(Text("indexing " + "x" * 200))
    monkeypatch.setenv("COLUMNS", "30")
    line.draw(Text("short"))
    line.erase()
    drawn = capsys.readouterr().out
    assert re.fullmatch(r"\x1b\[\?25lindexing x+…\x1b\[J\rshort\x1b\[J\r\x1b\[J\x1b\[\?25h", drawn)
    first = drawn.split("\x1b[J")[0].removeprefix("\x1b[?25l")
    assert len(first) == columns - 1
    line.erase()
    assert capsys.readouterr().out == ""
