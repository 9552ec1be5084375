"""Shows the processes of a mesh: a live table on a terminal, else a line for each change."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group

_SECONDS = 0.5
_COLOURS = {"ready": "green", "starting": "yellow", "stopping": "yellow", "restarting": "red", "not ready": "red"}


@asynccontextmanager
async def show(snapshot: Callable[[], dict[str, Any]]) -> AsyncIterator[None]:
    """Show the mesh during the block; ``snapshot`` returns its state, as in ``state.json``."""
    task = asyncio.create_task(_live(snapshot) if sys.stdout.isatty() else _plain(snapshot))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _plain(snapshot: Callable[[], dict[str, Any]]) -> None:
    shown: dict[str, str] = {}
    announced = False
    while True:
        announced = _plain_changes(snapshot(), shown, announced=announced)
        try:
            await asyncio.sleep(_SECONDS)
        except asyncio.CancelledError:
            _plain_changes(snapshot(), shown, announced=announced)
            raise


def _plain_changes(now: dict[str, Any], shown: dict[str, str], *, announced: bool) -> bool:
    """Write a line for each process whose state is new, and once that everything is ready; return whether that was said."""
    for process in now["processes"]:
        if shown.get(process["name"]) != process["state"]:
            shown[process["name"]] = process["state"]
            port = f", port {process['port']}" if process["port"] else ""
            _write(f"{process['name']}: {process['state']} (pid {process['pid']}{port})")
    if now["ready"] and not announced:
        _write(ready_line(now))
    return announced or now["ready"]


async def _live(snapshot: Callable[[], dict[str, Any]]) -> None:
    from rich.live import Live  # noqa: PLC0415 - only a terminal pays for it

    announced = False
    with Live(_table(snapshot()), auto_refresh=False) as live:

        def draw() -> None:
            nonlocal announced
            now = snapshot()
            if now["ready"] and not announced:
                announced = True
                live.console.print(ready_line(now), highlight=False, markup=False, soft_wrap=True)  # above the table, and stays
            live.update(_table(now), refresh=True)

        try:
            while True:
                draw()
                await asyncio.sleep(_SECONDS)
        finally:
            draw()


def ready_line(state: dict[str, Any]) -> str:
    """Return one line about a mesh that is ready."""
    return f"Semantik is ready at {state['gateway']} after {state['start_seconds']:.1f} s. Data: {state['data_dir']}"


def waiting_line(state: dict[str, Any]) -> str:
    """Return what a mesh waits for that is not ready; empty for one that is."""
    if state["ready"]:
        return ""
    names = ", ".join(process["name"] for process in state["processes"] if process["state"] != "ready")
    return f"Semantik is waiting for {names or 'its processes'}. Logs: {state['data_dir']}/logs"


def _table(state: dict[str, Any]) -> "Group":
    from rich.console import Group  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from semantik.command.tables import table  # noqa: PLC0415

    rows = table("PROCESS", "STATE", "MIB", "RESTARTS", "PORT", "PID")
    for process in state["processes"]:
        colour = _COLOURS.get(process["state"], "default")
        mib = f"{process['pss_mib']:.0f}" if process["pss_mib"] else ""
        numbers = (str(process[name] or "") for name in ("restarts", "port", "pid"))
        rows.add_row(process["name"], f"[{colour}]{process['state']}[/]", mib, *numbers)
    waiting = waiting_line(state)
    # First, because what a low terminal has no room for is left out at the end.
    return Group(Text(waiting, overflow="fold"), rows) if waiting else Group(rows)


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
