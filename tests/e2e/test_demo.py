"""``make run``, as a person sees it on a terminal: a whole mesh, twice."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.screen import on_a_terminal

_SECONDS = 240
_LAST = "Ctrl-C stops it; the index stays."
_SOURCES = ("proto/semantik", "gateway/README.md", "README.md", "DECISIONS.md", "CONTRIBUTING.md")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "data"
    shutil.rmtree((tmp_path / "data" / "postgres").resolve(), ignore_errors=True)


async def test_it_says_what_it_waits_for_and_ends_with_what_to_do_next(data: Path, tmp_path: Path) -> None:
    """On the first run and on the second, which indexes nothing, on terminals of two sizes; Ctrl-C stops it."""
    environment = {"SEMANTIK_DATA_DIR": str(data), "SEMANTIK_CONFIG_DIR": str(tmp_path / "config")}
    command = [sys.executable, "-P", "-m", "deploy.local.demo"]
    for (columns, rows), outcome in (((80, 24), "indexed"), ((120, 40), "unchanged")):
        async with on_a_terminal(command, columns, rows, environment) as (screen, process):
            await screen.wait(lambda text: "Semantik is waiting for" in text, _SECONDS)
            await screen.wait(lambda text: "Indexing this project's documentation" in text, _SECONDS)
            await screen.wait(lambda text: _LAST in text, _SECONDS)
            unwrapped = "".join(line.ljust(columns) for line in screen.lines)
            lines = screen.text.split("\n")
            process.send_signal(2)
            await process.wait()
        assert process.returncode == 0
        assert re.match(rf"Semantik is ready at http://127\.0\.0\.1:\d+ after [\d.]+ s\. Data: {data} *PROCESS +STATE", unwrapped)
        for source in _SOURCES:
            assert re.search(rf"  {source}: succeeded: \d+ {outcome}", unwrapped), source
        assert [line[:5] for line in lines if re.match(r"  \d\. ", line)] == ["  1. ", "  2. ", "  3. "]
        assert re.search(r"Semantik answers at http://127\.0\.0\.1:\d+; you are signed in as demo\.", unwrapped)
        assert "semantik search" in unwrapped
        assert "semantik index ~/Documents -c documents" in unwrapped
        assert lines[-1] == _LAST
        assert len([line for line in lines if line.startswith("PROCESS")]) == 1
