"""An operation in words: what it does, how far it is, what it waits for, how it ended."""

import time

from rich.text import Text

from semantik.client.operations import TERMINAL
from semantik.command.context import escape, printable
from semantik.command.durations import duration, rate, time_left
from semantik.operation.v1.operation_pb2 import Operation
from semantik.operation.v1.operation_pb2 import Progress as Counts

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BAR = "━"
_BAR_COLUMNS = {100: 20, 70: 10, 0: 0}  # by the columns of the terminal
_PULSE = 4
_EXACT = 10  # up to which the position in the queue is exact
# In the order of the line; what is worth the least on a narrow terminal has the highest number.
_WORTH = {"documents": 2, "chunks": 3, "rate": 4, "left": 1, "waits": 0}


def stage(operation: Operation) -> str:
    """Return the phase of running work, else the operation's state."""
    if operation.state == Operation.STATE_RUNNING and operation.progress.phase:
        return Counts.Phase.Name(operation.progress.phase).removeprefix("PHASE_").lower()
    return Operation.State.Name(operation.state).removeprefix("STATE_").lower()


def details(operation: Operation) -> str:
    """Return how far an operation is that has not ended, and what it waits for."""
    return ", ".join(_parts(operation).values())


def drawn(operation: Operation, width: int, frame: int) -> Text:
    """Return one line of at most ``width`` columns, with a bar that is full of nothing until the total is known."""
    line = Text(f"{_SPINNER[frame % len(_SPINNER)]} {stage(operation)} ", style="none")
    if operation.state == Operation.STATE_RUNNING:
        columns = next(columns for least, columns in _BAR_COLUMNS.items() if width >= least)
        line.append_text(_bar(operation, columns, frame))
        if _is_total_known(operation):
            line.append(f"{operation.progress.percent}% ", style="bold")
    parts = _parts(operation)
    for name in sorted(parts, key=_WORTH.__getitem__, reverse=True):
        if line.cell_len + Text(", ".join(parts.values())).cell_len > width and len(parts) > 1:
            del parts[name]
    line.append(", ".join(parts.values()))
    line.truncate(width, overflow="ellipsis")
    return line


def _bar(operation: Operation, columns: int, frame: int) -> Text:
    bar = Text()
    if not columns:
        return bar
    if _is_total_known(operation):
        done = columns * operation.progress.percent // 100
        return bar.append(_BAR * done, style="bar.complete").append(_BAR * (columns - done), style="bar.back").append(" ")
    for column in range(columns):
        is_lit = (column - frame) % columns < _PULSE
        bar.append(_BAR, style="bar.pulse" if is_lit else "bar.back")
    return bar.append(" ")


def _parts(operation: Operation) -> dict[str, str]:
    counts, parts = operation.progress, {}
    done, total, unit = work_done(operation)
    if _is_total_known(operation):
        parts["documents"] = f"{done:,} of {total:,} {unit}"
    elif operation.state == Operation.STATE_RUNNING or done:
        parts["documents"] = f"{done:,} done"
    if counts.chunks_total:
        parts["chunks"] = f"{counts.chunks_embedded:,} of {counts.chunks_total:,} chunks"
    elif counts.chunks_embedded:
        parts["chunks"] = f"{counts.chunks_embedded:,} chunks"
    if counts.tokens_per_second:
        parts["rate"] = f"{rate(counts.tokens_per_second)} tokens/s"
    if counts.HasField("remaining"):
        parts["left"] = time_left(counts.remaining.ToNanoseconds() / 1e9)
    if operation.wait_reason:
        parts["waits"] = printable(operation.wait_reason) + _ahead(operation)
    elif operation.state == Operation.STATE_QUEUED:
        parts["waits"] = "waiting for a worker"
    return parts


def _ahead(operation: Operation) -> str:
    if not operation.operations_ahead:
        return ""
    about = "about " if operation.operations_ahead > _EXACT else ""
    return f" ({about}{operation.operations_ahead:,} ahead of it)"


def _is_total_known(operation: Operation) -> bool:
    """Return whether listing has ended: before that, the total still grows."""
    return work_done(operation)[1] > 0 and operation.progress.phase != Counts.PHASE_LISTING


def work_done(operation: Operation) -> tuple[int, int, str]:
    """Return how much is done, of how much, and of what: queries of an evaluation, documents of all else."""
    counts = operation.progress
    if operation.kind == Operation.KIND_EVALUATE:
        return counts.queries_done, counts.queries_total, "queries"
    return counts.documents_done, counts.documents_total, "documents"


def summary(operation: Operation) -> str:
    """Return one line on how an operation ended or how far it is, with markup."""
    if operation.state not in TERMINAL:
        blocker = f"; that is operation {operation.waits_for_operation_id}" if operation.waits_for_operation_id else ""
        return f"[yellow]{stage(operation)}[/]: {escape(details(operation)) or 'just started'}{blocker}; {taken(operation)} so far"
    counts = operation.progress
    documents = {
        "indexed": counts.documents_indexed,
        "unchanged": counts.documents_unchanged,
        "skipped": counts.documents_skipped,
        "failed": counts.documents_failed,
        "removed": counts.documents_removed,
    }
    groups = [_counted(documents), _counted({"chunks": counts.chunks, "tokens": counts.tokens if counts.chunks else 0})]
    if operation.kind == Operation.KIND_DELETE and operation.state == Operation.STATE_SUCCEEDED:
        groups = ["the collection is deleted" + (f", {counts.documents_removed:,} documents removed" if counts.documents_removed else "")]
    elif operation.state != Operation.STATE_SUCCEEDED and operation.kind == Operation.KIND_EVALUATE:
        groups = [_at(operation)]
    elif operation.kind == Operation.KIND_EVALUATE:
        groups = [_counted({"queries answered": counts.queries_done})]
    elif operation.state == Operation.STATE_CANCELLED and _is_total_known(operation):
        groups.insert(0, _at(operation))
    counted = "; ".join(group for group in groups if group)
    color = "green" if operation.state == Operation.STATE_SUCCEEDED else "red"
    time_taken = f" in {taken(operation)}" if operation.HasField("start_time") and operation.HasField("finish_time") else ""
    line = f"[{color}]{stage(operation)}[/]" + (f": {counted}" if counted else "") + time_taken
    return f"{line}\n[red]{escape(operation.error.message)}[/]" if operation.HasField("error") else line


def _at(operation: Operation) -> str:
    done, total, unit = work_done(operation)
    return f"at {done:,} of {total:,} {unit}" if total else ""


def taken(operation: Operation) -> str:
    """Return how long an operation has been at work, or has waited where no worker had it yet."""
    started = operation.start_time if operation.HasField("start_time") else operation.create_time
    end = operation.finish_time.ToNanoseconds() / 1e9 if operation.HasField("finish_time") else time.time()
    return duration(max(0.0, end - started.ToNanoseconds() / 1e9))


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
