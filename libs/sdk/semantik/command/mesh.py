"""semantik up, down, status, logs: the whole mesh on this machine."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from semantik.command.context import JsonOption, err, out, print_json, table

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The data directory; your own by default.", envvar="SEMANTIK_DATA_DIR")]


def _local() -> Any:
    """Import the supervisor, which the base install does not include."""
    try:
        return importlib.import_module("deploy.local.mesh")
    except ImportError as error:
        err.print(f"[red]error:[/] this needs the local mesh: pip install 'semantik\\[local]' ({error.name} is missing)")
        raise typer.Exit(1) from error


def up(
    data_dir: DataDir = None,
    port: Annotated[int | None, typer.Option(help="The gateway's port; 8080 by default, or a free one if 8080 is taken.")] = None,
    replicas: Annotated[int, typer.Option(min=1, max=8, help="The number of processes of each service and worker.")] = 1,
    allow: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that everybody may index in place; you may anyway."),
    ] = None,
    cors: Annotated[list[str] | None, typer.Option(help="An origin from which browsers may call; may be repeated.")] = None,
    reflection: Annotated[bool, typer.Option(help="Describe the public services to tools that ask by gRPC reflection.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Start everything on this machine, without Docker, and run until Ctrl-C; with --json, print one line when it is ready."""
    local = _local()
    options = local.Options(
        data_dir=data_dir,
        port=port,
        replicas=replicas,
        allowed_roots=tuple(allow or ()),
        cors_origins=tuple(cors or ()),
        reflection=reflection,
    )

    async def announce(mesh: Any) -> None:
        ready = mesh.snapshot()
        address = mesh.gateway.removeprefix("http://")
        print_json({"address": address, "data_dir": ready["data_dir"], "pid": ready["pid"], "start_seconds": ready["start_seconds"]})

    try:
        asyncio.run(local.up(options, announce, is_quiet=True) if as_json else local.up(options))
    except local.MeshError as error:
        err.print(f"[red]error:[/] {error}")
        raise typer.Exit(1) from error


def down(data_dir: DataDir = None, as_json: JsonOption = False) -> None:
    """Stop what `semantik up` started."""
    stopped = asyncio.run(_local().down(data_dir))
    if as_json:
        print_json({"stopped": stopped})
    else:
        out.print("Stopped." if stopped else "Nothing is running.")


def status(data_dir: DataDir = None, as_json: JsonOption = False) -> None:
    """Show the processes. The exit code is 1 if nothing is running."""
    current = _local().status(data_dir)
    if as_json:
        print_json(current)
    elif current["running"]:
        out.print(f"{current['gateway'] or 'starting'} ({'ready' if current['ready'] else 'not ready'}), data in {current['data_dir']}")
        rows = table("PROCESS", "STATE", "PID", "RESTARTS", "PORT")
        for process in current["processes"]:
            rows.add_row(*(str(process.get(name, "")) for name in ("name", "state", "pid", "restarts", "port")))
        out.print(rows)
    else:
        out.print("Nothing is running. Start with `semantik up`.")
    raise typer.Exit(0 if current["running"] else 1)


def logs(
    service: Annotated[str, typer.Argument(help="auth, collection, operation, embedding, search, worker, envoy, postgres, redis, qdrant.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The number of lines to print, from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they come.")] = False,
    data_dir: DataDir = None,
    as_json: JsonOption = False,
) -> None:
    """Print the log of a process; with --json, one object for each line."""
    local = _local()

    async def work() -> None:
        async for line in local.logs(data_dir, service, lines, follow=follow):
            if as_json:
                print_json({"process": service, "line": line})
            else:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()

    try:
        asyncio.run(work())
    except local.MeshError as error:
        err.print(f"[red]error:[/] {error}")
        raise typer.Exit(4) from error
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
