"""The line of progress, as a person sees it on a terminal while a folder is indexed."""

import re
import sys
from pathlib import Path

import pytest

from deploy.local.supervisor import Mesh
from tests.conftest import Person
from tests.e2e.conftest import Command
from tests.screen import on_a_terminal

_FILES = 120
_TEXT = "The gate number {0} of the town is across the river, where boats of {0} tons wait for the tide. "


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (45, 12)])
async def test_one_line_moves_in_its_place_and_goes(
    mesh: Mesh, ada: Person, semantik: Command, shelf: Path, tmp_path: Path, columns: int, rows: int
) -> None:
    """It never goes back, never wraps, and leaves the summary alone on the screen with the cursor shown."""
    assert (await semantik("login", ada.user.username))[0] == 0
    for number in range(_FILES):
        (shelf / f"{number}.txt").write_text("\n\n".join(_TEXT.format(number * 100 + part) for part in range(20)))
    environment = {"SEMANTIK_ADDRESS": mesh.gateway.removeprefix("http://"), "SEMANTIK_CONFIG_DIR": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "semantik.command", "index", str(shelf), "-c", "seen"]
    percents: list[int] = []

    def ended(text: str) -> bool:
        live = [line for line in text.split("\n") if re.match(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] ", line)]
        assert len(live) <= 1, live
        percents.extend(int(percent) for line in live for percent in re.findall(r"(\d+)%", line))
        return "succeeded:" in text

    async with on_a_terminal(command, columns, rows, environment) as (screen, process):
        await screen.wait(ended, 120)
        assert await process.wait() == 0
        assert not screen.is_cursor_hidden
        lines = screen.text.split("\n")
    assert len(set(percents)) > 2, "it did not move"
    assert percents == sorted(percents)
    assert lines[0] == "Created the collection seen."
    assert re.match(rf"succeeded: {_FILES} indexed;", lines[1])
    assert "%" not in screen.text
