"""Shows the processes of a mesh: a live table on a terminal, else a line for each change."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from deploy.local.supervisor import Mesh

if TYPE_CHECKING:
    from rich.console import Group

_SECONDS = 0.5
_COLOURS = {"ready": "green", "starting": "yellow", "stopping": "yellow", "restarting": "red", "not ready": "red"}


@asynccontextmanager
async def show(mesh: Mesh) -> AsyncIterator[None]:
    """Show the mesh during the block."""
    task = asyncio.create_task(_live(mesh) if sys.stdout.isatty() else _plain(mesh))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _plain(mesh: Mesh) -> None:
    shown: dict[str, str] = {}
    announced = False
    while True:
        now = mesh.snapshot()
        for process in now["processes"]:
            if shown.get(process["name"]) != process["state"]:
                shown[process["name"]] = process["state"]
                port = f", port {process['port']}" if process["port"] else ""
                _write(f"{process['name']}: {process['state']} (pid {process['pid']}{port})")
        if now["ready"] and not announced:
            announced = True
            _write(headline(now))
        await asyncio.sleep(_SECONDS)


async def _live(mesh: Mesh) -> None:
    from rich.live import Live  # noqa: PLC0415 - only a terminal pays for it

    with Live(_table(mesh.snapshot()), auto_refresh=False, transient=False) as live:
        try:
            while True:
                live.update(_table(mesh.snapshot()), refresh=True)
                await asyncio.sleep(_SECONDS)
        finally:
            live.update(_table(mesh.snapshot()))  # drawn when the block ends


def headline(state: dict[str, Any]) -> str:
    """Return one line about the mesh's address and state."""
    if state["ready"]:
        return f"Semantik is ready at {state['gateway']} after {state['start_seconds']:.1f} s. Data: {state['data_dir']}"
    waiting = ", ".join(process["name"] for process in state["processes"] if process["state"] != "ready")
    return f"Semantik at {state['gateway']} is waiting for {waiting or 'its processes'}. Logs: {state['data_dir']}/logs"


def _table(state: dict[str, Any]) -> "Group":
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("process")
    table.add_column("state")
    for name in ("pid", "port", "restarts", "MiB"):
        table.add_column(name, justify="right")
    for process in state["processes"]:
        colour = _COLOURS.get(process["state"], "")
        table.add_row(
            process["name"],
            f"[{colour}]{process['state']}[/]" if colour else process["state"],
            str(process["pid"] or ""),
            str(process["port"] or ""),
            str(process["restarts"]),
            f"{process['pss_mib']:.0f}" if process["pss_mib"] else "",
        )
    return Group(table, "", headline(state))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
