"""What the command prints: of operations, and of names and texts that are not its own."""

import asyncio
import json
import re
import time

import pytest
import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from semantik.client import SemantikError
from semantik.command.context import escape, print_json, printable, run, table
from semantik.command.durations import duration, rate, time_left
from semantik.command.searching import _marked, _pointed
from semantik.command.states import details, drawn, stage, summary
from semantik.operation.v1.operation_pb2 import Operation, Progress
from semantik.search.v1.highlight_pb2 import Highlight
from semantik.search.v1.search_service_pb2 import Hit


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


@pytest.mark.parametrize(
    ("text", "position", "shown"),
    [
        ("mime:pdf x:y", 9, "mime:pdf x:y\n         ^"),
        ("größe \n漢 x:y", 9, "größe  漢 x:y\n          ^"),
        ("\x1b[1m[b]\t(", 8, "\ufffd[1m[b] (\n        ^"),
    ],
)
def test_a_place_in_a_text_has_a_mark_under_it(text: str, position: int, shown: str) -> None:
    """In one line, whatever the text holds and however wide its characters are."""
    assert _pointed(text, position) == shown


_COUNTS = Progress(documents_indexed=3000, documents_skipped=1, documents_removed=8, chunks=1200, tokens=45_000)
_START, _END = Timestamp(seconds=10), Timestamp(seconds=12, nanos=540_000_000)


@pytest.mark.parametrize(
    ("operation", "line"),
    [
        (
            Operation(state=Operation.STATE_SUCCEEDED, progress=_COUNTS, start_time=_START, finish_time=_END),
            "succeeded: 3,000 indexed, 1 skipped, 8 removed; 1,200 chunks, 45,000 tokens in 2.5 s",
        ),
        (Operation(state=Operation.STATE_SUCCEEDED, start_time=_START, finish_time=_END), "succeeded in 2.5 s"),
        (
            Operation(state=Operation.STATE_SUCCEEDED, progress=Progress(documents_indexed=1398, documents_skipped=2, documents_removed=8)),
            "succeeded: 1,398 indexed, 2 skipped, 8 removed",
        ),
        (
            Operation(
                kind=Operation.KIND_DELETE,
                state=Operation.STATE_SUCCEEDED,
                progress=Progress(documents_removed=53, documents_done=53),
                start_time=_START,
                finish_time=_END,
            ),
            "succeeded: the collection is deleted, 53 documents removed in 2.5 s",
        ),
        (Operation(kind=Operation.KIND_DELETE, state=Operation.STATE_SUCCEEDED), "succeeded: the collection is deleted"),
        (Operation(state=Operation.STATE_CANCELLED), "cancelled"),
        (
            Operation(
                state=Operation.STATE_CANCELLED,
                progress=Progress(
                    phase=Progress.PHASE_INDEXING, documents_done=404, documents_total=4454, documents_indexed=400, documents_skipped=4
                ),
            ),
            "cancelled: at 404 of 4,454 documents; 400 indexed, 4 skipped",
        ),
        (Operation(state=Operation.STATE_FAILED, error=Status(message="cannot read [/srv/a]")), "failed\ncannot read [/srv/a]"),
    ],
)
def test_the_end_of_an_operation_is_one_line(operation: Operation, line: str) -> None:
    """And why it failed is another."""
    assert Text.from_markup(summary(operation)).plain == line


_RUNNING = Operation.STATE_RUNNING


@pytest.mark.parametrize(
    ("operation", "stage_shown", "details_shown"),
    [
        (Operation(state=Operation.STATE_QUEUED), "queued", "waiting for a worker"),
        (
            Operation(state=Operation.STATE_QUEUED, wait_reason="another operation of this collection runs"),
            "queued",
            "another operation of this collection runs",
        ),
        (
            Operation(state=Operation.STATE_QUEUED, wait_reason="waits for a free slot", operations_ahead=3),
            "queued",
            "waits for a free slot (3 ahead of it)",
        ),
        (
            Operation(state=Operation.STATE_QUEUED, wait_reason="waits for a free slot", operations_ahead=120),
            "queued",
            "waits for a free slot (about 120 ahead of it)",
        ),
        (
            Operation(state=_RUNNING, wait_reason="waits for search", progress=Progress(documents_done=3)),
            "running",
            "3 done, waits for search",
        ),
        (
            Operation(state=_RUNNING, progress=Progress(phase=Progress.PHASE_LISTING, documents_done=1234)),
            "listing",
            "1,234 done",
        ),
        (
            Operation(state=_RUNNING, progress=Progress(phase=Progress.PHASE_LISTING, documents_done=12, documents_total=40)),
            "listing",
            "12 done",
        ),
        (
            Operation(
                state=_RUNNING,
                progress=Progress(
                    phase=Progress.PHASE_INDEXING,
                    documents_done=12,
                    documents_total=4000,
                    chunks=96,
                    chunks_embedded=203,
                    tokens_per_second=15_432.1,
                    remaining=Duration(seconds=83),
                ),
            ),
            "indexing",
            "12 of 4,000 documents, 203 chunks, 15,000 tokens/s, about 1 min left",
        ),
        (
            Operation(
                state=_RUNNING,
                progress=Progress(
                    phase=Progress.PHASE_INDEXING, documents_done=54, documents_total=55, chunks_embedded=3210, chunks_total=6250
                ),
            ),
            "indexing",
            "54 of 55 documents, 3,210 of 6,250 chunks",
        ),
    ],
)
def test_the_progress_of_an_operation_is_shown(operation: Operation, stage_shown: str, details_shown: str) -> None:
    """While listing the total is not known; what is queued says what it waits for."""
    assert (stage(operation), details(operation)) == (stage_shown, details_shown)


def test_a_running_operation_shows_how_long_it_has_run() -> None:
    """It has no end yet."""
    started = Timestamp(seconds=int(time.time()) - 125)
    line = Text.from_markup(summary(Operation(state=_RUNNING, start_time=started, progress=Progress(documents_done=5)))).plain
    assert re.fullmatch(r"running: 5 done; 2m 0\ds so far", line)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0.0 s"),
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1m 00s"),
        (83, "1m 23s"),
        (7921, "2h 12m"),
        (273_600, "3d 04h"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds: float, shown: str) -> None:
    """As people read it."""
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "a few seconds left"),
        (12, "about 10 s left"),
        (54, "about 55 s left"),
        (58, "about 1 min left"),
        (89, "about 1 min left"),
        (130, "about 2 min left"),
        (3590, "about 1 h left"),
        (4260, "about 1 h 10 min left"),
        (7921, "about 2 h 10 min left"),
        (273_600, "about 3 d 4 h left"),
    ],
)
def test_a_time_left_is_as_fine_as_an_estimate_can_be(seconds: float, shown: str) -> None:
    """In the words of people."""
    assert time_left(seconds) == shown


@pytest.mark.parametrize(
    ("per_second", "shown"),
    [(0.44, "0.4"), (7.6, "8"), (87.4, "87"), (952, "950"), (2449, "2,400"), (15_432.1, "15,000"), (99_700, "100,000")],
)
def test_a_rate_has_two_digits_that_count(per_second: float, shown: str) -> None:
    """More would only flicker."""
    assert rate(per_second) == shown


@pytest.mark.parametrize("width", [44, 69, 79, 119])
@pytest.mark.parametrize("frame", [0, 17])
def test_the_line_of_an_operation_fits_the_terminal(width: int, frame: int) -> None:
    """The time left stays longest; a long reason is cut."""
    counts = Progress(
        phase=Progress.PHASE_INDEXING,
        documents_done=1200,
        documents_total=4000,
        chunks_embedded=20_300,
        percent=31,
        tokens_per_second=15_432.1,
        remaining=Duration(seconds=4260),
    )
    line = drawn(Operation(state=_RUNNING, progress=counts), width, frame)
    assert line.cell_len <= width
    assert "about 1 h 10 min left" in line.plain
    assert "31%" in line.plain
    assert ("15,000 tokens/s" in line.plain) == (width == 119)
    waiting = Operation(state=Operation.STATE_QUEUED, wait_reason="waits for another operation of its collection", operations_ahead=2)
    assert drawn(waiting, width, frame).cell_len <= width


@pytest.mark.parametrize("frame", range(40))
def test_a_bar_is_full_of_nothing_until_the_total_is_known(frame: int) -> None:
    """A part of it moves; what is queued has none."""
    listing = drawn(Operation(state=_RUNNING, progress=Progress(phase=Progress.PHASE_LISTING, documents_done=12)), 119, frame)
    assert "%" not in listing.plain
    assert sum(span.end - span.start for span in listing.spans if span.style == "bar.pulse") == 4
    assert not [span for span in listing.spans if span.style == "bar.complete"]
    assert "━" not in drawn(Operation(state=Operation.STATE_QUEUED), 119, frame).plain


@pytest.mark.abuse(35)
def test_control_characters_are_shown_and_not_sent_to_the_terminal() -> None:
    """A name or a passage that sets the title, fills the clipboard or clears the screen; offsets into it stay right."""
    text = "a\x1b]52;c;aGk=\x07\x9bJ\x7f\tb\nc"
    assert printable(text) == "a\ufffd]52;c;aGk=\ufffd\ufffdJ\ufffd\tb\nc"
    assert Text.from_markup(escape(f"[red]{text}")).plain == f"[red]{printable(text)}"
    assert _marked(Hit(text=text), None).plain == printable(text)


@pytest.mark.abuse(35)
def test_json_holds_no_raw_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """They are escaped, so that a program gets them and a terminal does not."""
    print_json({"name": "\x1b[2J\x9b2J\x7fé"})
    line = capsys.readouterr().out
    assert line == '{"name": "\\u001b[2J\\u009b2J\\u007fé"}\n'
    assert json.loads(line) == {"name": "\x1b[2J\x9b2J\x7fé"}


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
        ("UNAUTHENTICATED", 3, " Sign in with `semantik login NAME`."),
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


_ROWS = [("papers", "ready", "1,398", "2,129", "all-minilm-l6-v2"), ("a collection with a rather long name", "pending", "0", "0", "e5")]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (120, "NAME STATE DOCUMENTS CHUNKS MODEL"),
        (80, "NAME STATE DOCUMENTS CHUNKS MODEL"),
        (45, "NAME STATE DOCUMENTS CHUNKS"),
        (40, "NAME STATE DOCUMENTS"),
        (20, "NAME"),
    ],
)
def test_a_table_leaves_out_what_does_not_fit(width: int, shown: str) -> None:
    """From its end; no line is longer than the terminal, and a name that is too long goes on below."""
    rows = table("NAME", "STATE", "DOCUMENTS", "CHUNKS", "MODEL")
    for cells in _ROWS:
        rows.add_row(*cells)
    console = Console(width=width)
    with console.capture() as captured:
        console.print(rows)
    lines = captured.get().splitlines()
    assert lines[0].split() == shown.split()
    assert max(len(line.rstrip()) for line in lines) <= width
    assert "papers" in lines[1]
    assert "".join(line[: lines[0].find("STATE") if "STATE" in shown else None].strip() for line in lines[2:]).replace(" ", "") == (
        "acollectionwitharatherlongname"
    )


def test_an_empty_column_is_left_out() -> None:
    """It says nothing."""
    rows = table("PROCESS", "RESTARTS", "PORT")
    rows.add_row("auth", "", "1")
    console = Console(width=80)
    with console.capture() as captured:
        console.print(rows)
    assert captured.get().splitlines()[0].split() == ["PROCESS", "PORT"]


def test_the_best_sentence_is_underlined_and_begins_a_text_that_is_cut() -> None:
    """A text that is shown whole begins as it does."""
    text = "a" * 50 + " whale. The song of whales. " + "b" * 500
    start, end = text.index("The"), text.index(" bbb")
    hit = Hit(
        text=text, best_sentence=Highlight(start=start, end=end), highlights=[Highlight(start=51, end=56), Highlight(start=70, end=76)]
    )
    whole, cut = _marked(hit, None), _marked(hit, 100)
    assert whole.plain == text
    assert [(span.style, whole.plain[span.start : span.end]) for span in whole.spans] == [
        ("underline", "The song of whales."),
        ("bold yellow", "whale"),
        ("bold yellow", "whales"),
    ]
    assert cut.plain == "...The song of whales. " + "b" * 80 + "..."
    assert [(span.style, cut.plain[span.start : span.end]) for span in cut.spans] == [
        ("underline", "The song of whales."),
        ("bold yellow", "whales"),
    ]
