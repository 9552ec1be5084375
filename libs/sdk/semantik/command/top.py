"""semantik top: what the mesh on this machine does now."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from semantik.command.context import JsonOption, out, print_json
from semantik.command.mesh import DataDir, local, nothing_runs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SECONDS = 1.0


def top(
    data_dir: DataDir = None,
    once: Annotated[bool, typer.Option("--once", help="Print the activity of one second as text, and end.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show processes, RPCs and your operations, each second until Ctrl-C. The exit code is 1 if nothing is running.

    With --json, one object is printed for each second.
    """
    import asyncio

    from semantik.command.top_view import view

    activities = local("activities")

    async def seconds() -> "AsyncIterator[dict[str, Any]]":
        before = await activities.sample(data_dir)
        while before.state["running"]:
            await asyncio.sleep(_SECONDS)
            after = await activities.sample(data_dir)
            yield {"gateway": after.state["gateway"], **activities.changes(before, after)}
            if once:
                return
            before = after

    async def work() -> bool:
        if as_json:
            shown = False
            async for second in seconds():
                shown = True
                print_json(second)
            return shown
        return await view(seconds(), is_live=not once and out.console.is_terminal)

    try:
        ended = asyncio.run(work())
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    if not ended:
        out.print(nothing_runs(local().status(data_dir)), soft_wrap=True)
        raise typer.Exit(1)
