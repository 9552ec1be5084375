"""Shows what a mesh does, second by second."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from semantik.client import Client, SemantikError
from semantik.command.context import client, escape, out, table
from semantik.command.states import details, stage
from semantik.operation.v1.operation_pb2 import Operation

_RPCS = 8  # the most frequent ones
_LISTED = 50  # operations that are looked through for those that have not ended
_ENDED = (Operation.STATE_SUCCEEDED, Operation.STATE_FAILED, Operation.STATE_CANCELLED)


async def view(seconds: AsyncIterator[dict[str, Any]], *, is_live: bool) -> bool:
    """Show each second, in place of the one before if ``is_live``; return whether there was one."""
    shown = False
    async with AsyncExitStack() as stack:
        live = stack.enter_context(Live(console=out.console, screen=True, auto_refresh=False)) if is_live else None
        async for second in seconds:
            shown = True
            drawn = Group(*_processes(second), *_rpcs(second), *await _operations(second))
            live.update(drawn, refresh=True) if live else out.print(drawn)
    return shown


def _processes(second: dict[str, Any]) -> list[RenderableType]:
    rows = table("PROCESS", "CPU %", "MIB", "STATE")
    for process in second["processes"]:
        rows.add_row(process["name"], f"{process['cpu_percent']:.0f}", f"{process['mib']:.0f}", process["state"])
    total = sum(process["cpu_percent"] for process in second["processes"])
    memory = sum(process["mib"] for process in second["processes"])
    return [Text(f"{second['gateway']}: {total:.0f} % of a core, {memory:.0f} MiB"), rows]


def _rpcs(second: dict[str, Any]) -> list[RenderableType]:
    rows = table("RPC", "PER SECOND", "MEAN", "FAILED")
    for rpc in second["rpcs"][:_RPCS]:
        failed = f"{rpc['failed_per_second']:.1f}" if rpc["failed_per_second"] else ""
        rows.add_row(rpc["method"].rpartition(".")[2], f"{rpc['per_second']:.1f}", f"{rpc['mean_milliseconds']:.1f} ms", failed)
    return ["", rows] if second["rpcs"] else ["", "No RPCs."]


async def _operations(second: dict[str, Any]) -> list[RenderableType]:
    waiting = ", ".join(f"{count} {escape(kind.lower())}" for kind, count in second["queued"].items())
    lines: list[RenderableType] = ["", f"Operations that wait: {waiting or 'none'}"]
    try:
        async with client(second["gateway"]) as semantik:
            open_operations = await _unfinished(semantik)
            names = {each.id: each.name async for each in semantik.collections.list()} if open_operations else {}
    except SemantikError as error:
        return [*lines, f"Your operations: {escape(error.message)}"]
    rows = table("COLLECTION", "STATE", "DETAILS")
    for operation in open_operations:
        rows.add_row(escape(names.get(operation.collection_id, operation.collection_id)), stage(operation), escape(details(operation)))
    return [*lines, rows] if open_operations else lines


async def _unfinished(semantik: Client) -> list[Operation]:
    operations = []
    looked_at = 0
    async for operation in semantik.operations.list():
        looked_at += 1
        if operation.state not in _ENDED:
            operations.append(operation)
        if looked_at == _LISTED:
            break
    return operations
