"""The table of processes, as a person sees it on a terminal of any size."""

import sys

import pytest

from tests.screen import on_a_terminal

# Five states of a mesh, the last of them ready; then another program's text.
_PROGRAM = """
import asyncio, sys
from deploy.local.table import show

names = ["postgres", "redis", "qdrant", "embedding", "search", "envoy", "auth", "collection", "operation", "worker"] * int(sys.argv[1])
at = [0]

def state(number, is_ready):
    process = {"name": names[number], "state": "ready" if is_ready else "starting", "pid": 32000 + number, "port": 20000 + number}
    return {**process, "restarts": 0, "pss_mib": 12.0}

def snapshot():
    processes = [state(number, number < at[0] * len(names) / 4) for number in range(len(names))]
    whole = {"gateway": "http://127.0.0.1:8080", "start_seconds": 12.1, "data_dir": "/home/ada/" + "data/" * 12 + "semantik"}
    return {**whole, "ready": at[0] == 4, "processes": processes}

async def main():
    async with show(snapshot):
        for at[0] in range(5):
            await asyncio.sleep(0.7)
    print("after the table")
    print("and after that")

asyncio.run(main())
"""


@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (45, 15)])
async def test_the_table_ends_whole_and_what_follows_is_not_painted_over(columns: int, rows: int, copies: int) -> None:
    """Also one that is higher than the terminal, beside lines that are longer than it is wide."""
    async with on_a_terminal([sys.executable, "-P", "-c", _PROGRAM, str(copies)], columns, rows, {}) as (screen, process):
        await screen.wait(lambda text: "Semantik is waiting for" in text, 30)
        await process.wait()
        await screen.wait(lambda text: "and after that" in text, 30)
    lines = screen.text.split("\n")
    assert lines[-2:] == ["after the table", "and after that"]
    table = lines[-3 - 10 * copies : -2]
    assert table[0].split()[:3] == ["PROCESS", "STATE", "MIB"]
    assert [line.split()[:3] for line in table[1:]] == [[name, "ready", "12"] for name in _NAMES * copies]
    assert [line for line in lines if line.startswith("PROCESS")] == table[:1]  # nothing is left of those before
    ready = "Semantik is ready at http://127.0.0.1:8080 after 12.1 s. Data: /home/ada/" + "data/" * 12 + "semantik"
    assert "".join(line.ljust(columns) for line in lines[: -3 - 10 * copies]).strip() == ready


_NAMES = ["postgres", "redis", "qdrant", "embedding", "search", "envoy", "auth", "collection", "operation", "worker"]
