"""What the command prints of names and texts that are not its own."""

import asyncio

import pytest
import typer
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from semantik.client import SemantikError
from semantik.command.context import run, table
from semantik.command.searching import _marked
from semantik.command.watching import summary
from semantik.operation.v1.operation_pb2 import Operation, Progress
from semantik.search.v1.search_service_pb2 import Highlight, Hit


@st.composite
def _hits(draw: st.DrawFn) -> Hit:
    text = draw(st.text(alphabet="ab[]/\\ \n", max_size=60))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    marks = [Highlight(start=start, end=end) for start, end in zip(cuts[::2], cuts[1::2], strict=False)]
    return Hit(text=text, highlights=marks)


@settings(deadline=None)
@given(_hits())
def test_a_text_is_printed_as_it_is_with_its_words_marked(hit: Hit) -> None:
    """Brackets and backslashes in it are no markup, and the marks lie where the server says."""
    shown = _marked(hit, None)
    assert shown.plain == hit.text
    assert [(span.start, span.end) for span in shown.spans] == [(mark.start, mark.end) for mark in hit.highlights]


def test_a_long_text_is_cut_around_its_first_mark() -> None:
    """So that one sees why it was found."""
    hit = Hit(text="a" * 500 + " whale " + "b" * 500, highlights=[Highlight(start=501, end=506)])
    shown = _marked(hit, 100).plain
    assert shown == "..." + "a" * 24 + " whale " + "b" * 69 + "..."


_COUNTED = Progress(documents_indexed=3, documents_skipped=1, chunks=1200, tokens=45_000)


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (
            Operation(
                state=Operation.STATE_SUCCEEDED,
                progress=_COUNTED,
                start_time=Timestamp(seconds=10),
                finish_time=Timestamp(seconds=12, nanos=540_000_000),
            ),
            "succeeded: 3 indexed, 1 skipped; 1200 chunks, 45,000 tokens in 2.5 s",
        ),
        (Operation(state=Operation.STATE_CANCELLED), "cancelled: nothing to do; 0 chunks, 0 tokens in 0.0 s"),
        (
            Operation(state=Operation.STATE_FAILED, error=Status(message="cannot read [/srv/a]")),
            "failed: nothing to do; 0 chunks, 0 tokens in 0.0 s\ncannot read [/srv/a]",
        ),
    ],
)
def test_an_end_is_told_in_one_line(operation: Operation, line: str) -> None:
    """And why it failed in another."""
    assert Text.from_markup(summary(operation)).plain == line


def test_an_id_in_a_table_is_never_cut() -> None:
    """On the narrowest terminal, whatever stands beside it."""
    identifier = "01a1fcea-0db8-7964-956e-62c15a9b0963"
    rows = table("PATH", "STATE", "CHUNKS", "TYPE", "ID")
    rows.add_row("a/rather/long/path/" * 9, "skipped (unsupported_type)", "1000", "text/markdown", identifier)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(rows)
    assert identifier in captured.get()


@pytest.mark.parametrize(
    ("code", "status", "end"),
    [
        ("UNAUTHENTICATED", 3, " Sign in with `semantik login`."),
        ("NOT_FOUND", 4, ""),
        ("PERMISSION_DENIED", 5, ""),
        ("UNAVAILABLE", 6, ""),
        ("INTERNAL", 1, ""),
    ],
)
async def test_a_refusal_is_one_sentence_and_an_exit_code(capsys: pytest.CaptureFixture[str], code: str, status: int, end: str) -> None:
    """A message may hold anything, brackets too."""

    async def work() -> int:
        raise SemantikError(code, "WHY", "no [/such] thing")

    with pytest.raises(typer.Exit) as caught:
        await asyncio.to_thread(run, work())  # it has a loop of its own
    assert caught.value.exit_code == status
    assert capsys.readouterr().err == f"error: no [/such] thing (WHY){end}\n"
