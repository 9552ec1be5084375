"""semantik up, down, status, logs: the whole mesh on this machine."""

import asyncio
import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from semantik.command.context import JsonOption, err, out, print_json, table

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where everything is kept; your own data directory by default.")]


def _local() -> Any:
    """Import the supervisor, which the base install does not bring along."""
    try:
        return importlib.import_module("deploy.local.mesh")
    except ImportError as error:
        err.print(f"[red]error:[/] this needs the local mesh: pip install 'semantik[local]' ({error.name} is missing)")
        raise typer.Exit(1) from error


def up(
    data_dir: DataDir = None,
    port: Annotated[int | None, typer.Option(help="The gateway's port; 8080, or a free one where that is taken.")] = None,
    replicas: Annotated[int, typer.Option(min=1, max=8, help="How many of each service and worker.")] = 1,
    allow: Annotated[list[Path] | None, typer.Option(help="A folder that may be indexed in place; your home by default.")] = None,
    cors: Annotated[list[str] | None, typer.Option(help="An origin browsers may call from; may be repeated.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Start everything on this machine, without Docker, and watch over it until Ctrl-C; with --json one line when it is ready."""
    local = _local()
    options = local.Options(
        data_dir=data_dir, port=port, replicas=replicas, allowed_roots=tuple(allow or ()), cors_origins=tuple(cors or ())
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
    """Stop the mesh of a data directory."""
    stopped = asyncio.run(_local().down(data_dir))
    if as_json:
        print_json({"stopped": stopped})
    else:
        out.print("Stopped." if stopped else "Nothing is running.")


def status(data_dir: DataDir = None, as_json: JsonOption = False) -> None:
    """Show what is running. Exit code 1 when nothing is."""
    found = _local().status(data_dir)
    if as_json:
        print_json(found)
    elif found["running"]:
        out.print(f"{found['gateway'] or 'starting'} ({'ready' if found['ready'] else 'not ready'}), data in {found['data_dir']}")
        rows = table("PROCESS", "STATE", "PID", "RESTARTS", "PORT")
        for each in found["processes"]:
            rows.add_row(*(str(each.get(name, "")) for name in ("name", "state", "pid", "restarts", "port")))
        out.print(rows)
    else:
        out.print("Nothing is running. Start with `semantik up`.")
    raise typer.Exit(0 if found["running"] else 1)


def logs(
    service: Annotated[str, typer.Argument(help="auth, collection, operation, embedding, search, worker, envoy, postgres, redis, qdrant.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more.")] = False,
    data_dir: DataDir = None,
    as_json: JsonOption = False,
) -> None:
    """Print the log of one process; with --json one object for each line."""
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
