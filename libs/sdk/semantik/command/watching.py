"""Follows an operation on the terminal, from the Watch stream."""

import asyncio
import sys
import time

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from semantik.client import Client
from semantik.client.operations import TERMINAL
from semantik.command.context import err, escape, out, print_json
from semantik.command.durations import duration
from semantik.operation.v1.operation_pb2 import Operation
from semantik.operation.v1.operation_pb2 import Progress as Counts


async def follow(semantik: Client, operation_id: str, *, as_json: bool = False) -> int:
    """Show an operation until it ends; returns the exit code. Ctrl-C stops watching, not the work."""
    try:
        last = await (_json(semantik, operation_id) if as_json else _bar(semantik, operation_id))
    except (asyncio.CancelledError, KeyboardInterrupt):
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
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.fields[details]}")
    with Progress(*columns, console=out.console, transient=True, disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task("queued", total=None, details="")
        async for last in semantik.operations.watch(operation_id):
            counts = last.progress
            total = counts.documents_total if _is_total_known(last) else None
            progress.update(task, description=stage(last), total=total, completed=counts.documents_done, details=escape(details(last)))
    return last


def stage(operation: Operation) -> str:
    """Return the phase of running work, else the operation's state."""
    if operation.state == Operation.STATE_RUNNING and operation.progress.phase:
        return Counts.Phase.Name(operation.progress.phase).removeprefix("PHASE_").lower()
    return Operation.State.Name(operation.state).removeprefix("STATE_").lower()


def details(operation: Operation) -> str:
    """Return how far an operation is that has not ended, and what it waits for."""
    counts = operation.progress
    parts = []
    if _is_total_known(operation):
        parts.append(f"{counts.documents_done:,} of {counts.documents_total:,} documents")
    elif operation.state == Operation.STATE_RUNNING or counts.documents_done:
        parts.append(f"{counts.documents_done:,} done")
    if counts.chunks:
        parts.append(f"{counts.chunks:,} chunks")
    if counts.tokens_per_second:
        parts.append(f"{counts.tokens_per_second:,.0f} tokens/s")
    if counts.HasField("remaining"):
        parts.append(f"{duration(counts.remaining.ToNanoseconds() / 1e9)} left")
    if operation.wait_reason:
        parts.append(operation.wait_reason)
    elif operation.state == Operation.STATE_QUEUED:
        parts.append("waiting for a worker")
    return ", ".join(parts)


def _is_total_known(operation: Operation) -> bool:
    """Return whether listing has ended: before that, the total still grows."""
    return operation.progress.documents_total > 0 and operation.progress.phase != Counts.PHASE_LISTING


def summary(operation: Operation) -> str:
    """Return one line on how an operation ended or how far it is, with markup."""
    if operation.state not in TERMINAL:
        started = operation.start_time if operation.HasField("start_time") else operation.create_time
        since = duration(max(0.0, time.time() - started.ToNanoseconds() / 1e9))
        return f"[yellow]{stage(operation)}[/]: {escape(details(operation)) or 'just started'}; {since} so far"
    counts = operation.progress
    documents = {
        "indexed": counts.documents_indexed,
        "unchanged": counts.documents_unchanged,
        "skipped": counts.documents_skipped,
        "failed": counts.documents_failed,
        "removed": counts.documents_removed,
    }
    groups = (_counted(documents), _counted({"chunks": counts.chunks, "tokens": counts.tokens}))
    counted = "; ".join(group for group in groups if group)
    color = "green" if operation.state == Operation.STATE_SUCCEEDED else "red"
    line = f"[{color}]{stage(operation)}[/]" + (f": {counted}" if counted else "") + _taken(operation)
    return f"{line}\n[red]{escape(operation.error.message)}[/]" if operation.HasField("error") else line


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def _taken(operation: Operation) -> str:
    if not operation.HasField("start_time") or not operation.HasField("finish_time"):
        return ""
    return f" in {duration((operation.finish_time.ToNanoseconds() - operation.start_time.ToNanoseconds()) / 1e9)}"
