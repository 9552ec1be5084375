"""Follows an operation on the terminal, from the Watch stream."""

import sys

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from semantik.client import Client
from semantik.command.context import err, out, print_json
from semantik.operation.v1.operation_pb2 import Operation
from semantik.operation.v1.operation_pb2 import Progress as Counted


async def follow(semantik: Client, operation_id: str, *, as_json: bool = False) -> int:
    """Show an operation until it ends; returns the exit code. Ctrl-C stops watching, never the work."""
    try:
        last = await (_json(semantik, operation_id) if as_json else _bar(semantik, operation_id))
    except BaseException as error:
        if type(error).__name__ in ("CancelledError", "KeyboardInterrupt"):
            err.print(f"\nStopped watching; the work goes on. `semantik operations watch {operation_id}` or `... cancel {operation_id}`.")
        raise
    if last is None:
        return 1
    if not as_json:
        out.print(summary(last))
    return 0 if last.state == Operation.STATE_SUCCEEDED else 1


async def _json(semantik: Client, operation_id: str) -> Operation | None:
    last = None
    async for last in semantik.operations.watch(operation_id):
        print_json(last)
    return last


async def _bar(semantik: Client, operation_id: str) -> Operation | None:
    last = None
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed:.0f}/{task.total:.0f} documents"),
        TextColumn("{task.fields[rate]}"),
    )
    with Progress(*columns, console=out, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("queued", total=0, rate="")
        async for last in semantik.operations.watch(operation_id):
            _show(progress, task, last)
    return last


def _show(progress: Progress, task: TaskID, operation: Operation) -> None:
    counted = operation.progress
    phase = Counted.Phase.Name(counted.phase).removeprefix("PHASE_").lower() if counted.phase else "waiting"
    state = Operation.State.Name(operation.state).removeprefix("STATE_").lower()
    rate = (
        f"{counted.chunks} chunks, {counted.tokens_per_second:,.0f} tokens/s" if counted.tokens_per_second else f"{counted.chunks} chunks"
    )
    if counted.HasField("remaining"):
        rate += f", {counted.remaining.ToSeconds()} s left"
    if operation.wait_reason:
        rate = operation.wait_reason
    progress.update(
        task,
        description=phase if state == "running" else state,
        total=counted.documents_total,
        completed=counted.documents_done,
        rate=rate,
    )


def summary(operation: Operation) -> str:
    """Return one line on how an operation ended."""
    counted = operation.progress
    state = Operation.State.Name(operation.state).removeprefix("STATE_").lower()
    parts = [
        f"{count} {name}"
        for name, count in (
            ("indexed", counted.documents_indexed),
            ("unchanged", counted.documents_unchanged),
            ("skipped", counted.documents_skipped),
            ("failed", counted.documents_failed),
            ("removed", counted.documents_removed),
        )
        if count
    ]
    seconds = (
        operation.finish_time.ToNanoseconds() / 1e9 - operation.start_time.ToNanoseconds() / 1e9 if operation.HasField("start_time") else 0
    )
    color = "green" if operation.state == Operation.STATE_SUCCEEDED else "red"
    line = (
        f"[{color}]{state}[/]: {', '.join(parts) or 'nothing to do'}; {counted.chunks} chunks, {counted.tokens:,} tokens in {seconds:.1f} s"
    )
    return f"{line}\n[red]{escape(operation.error.message)}[/]" if operation.HasField("error") else line
