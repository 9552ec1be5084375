"""semantik up, down, purge, status, logs, top: the whole mesh on this machine."""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from semantik.address import parsed
from semantik.command.context import JsonOption, err, escape, fail, out, print_json, printable, table

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The data directory; your own by default.", envvar="SEMANTIK_DATA_DIR")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def local(module: str = "mesh") -> Any:
    """Import a module of the supervisor, which the base install does not include."""
    try:
        return importlib.import_module(f"deploy.local.{module}")
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
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            help="A certificate and its chain (PEM): the gateway also answers by TLS.", exists=True, dir_okay=False, resolve_path=True
        ),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The key of the certificate (PEM).", exists=True, dir_okay=False, resolve_path=True)
    ] = None,
    tls_address: Annotated[
        str, typer.Option(help="Where TLS is answered, host:port; what is not TLS stays on this machine.")
    ] = "0.0.0.0:8443",
    model: Annotated[str, typer.Option("--model", help="The installed model that new collections get if they name none.")] = "",
    purge_first: Annotated[bool, typer.Option("--purge", help="Delete all data first, as `semantik purge` does.")] = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start everything on this machine, without Docker, and run until Ctrl-C; with --json, print one line when it is ready."""
    import asyncio

    if (tls_certificate is None) != (tls_key is None):
        fail("--tls-certificate and --tls-key go together: give both, or neither")
    supervisor = local()
    options = supervisor.Options(
        data_dir=data_dir,
        port=port,
        replicas=replicas,
        allowed_roots=tuple(allow or ()),
        cors_origins=tuple(cors or ()),
        reflection=reflection,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        tls_address=tls_address,
        model=model,
    )

    async def announce(mesh: Any) -> None:
        ready = mesh.snapshot()
        address = mesh.gateway.removeprefix("http://")
        print_json({"address": address, "data_dir": ready["data_dir"], "pid": ready["pid"], "start_seconds": ready["start_seconds"]})

    if purge_first:
        _purge(data_dir, yes=yes)
    try:
        asyncio.run(supervisor.up(options, announce, is_quiet=True) if as_json else supervisor.up(options))
    except supervisor.MeshError as error:
        fail(str(error))


def down(data_dir: DataDir = None, as_json: JsonOption = False) -> None:
    """Stop what `semantik up` started."""
    import asyncio

    supervisor = local()
    stopped = asyncio.run(supervisor.down(data_dir))
    if as_json:
        print_json({"stopped": stopped})
    else:
        out.print("Stopped." if stopped else nothing_runs(supervisor.status(data_dir)))


def purge(data_dir: DataDir = None, yes: YesOption = False, as_json: JsonOption = False) -> None:
    """Delete all data of a mesh that does not run: collections, users, downloaded models, logs, and what lies outside its directory."""
    deleted = _purge(data_dir, yes=yes)
    if as_json:
        print_json({"deleted": deleted})
    else:
        out.print(f"Deleted {escape(', '.join(deleted))}." if deleted else "There is nothing to delete.")


def _purge(data_dir: Path | None, *, yes: bool) -> list[str]:
    purging = local("purging")
    try:
        paths = purging.belongings(data_dir)
        if not paths:
            return []
        if not yes:
            typer.confirm(f"Delete all collections, users and models in {printable(str(paths[0]))}?", abort=True, err=True)
        _forget(str(purging.gateway(data_dir)))
        purging.delete(data_dir)
    except local().MeshError as error:
        fail(str(error))
    return [str(path) for path in paths]


def _forget(gateway: str) -> None:
    """Delete the sign-in of a mesh that will not know it any more."""
    import asyncio

    from semantik.command.credentials import Credentials

    async def work() -> None:
        stored = Credentials(parsed(gateway).name)
        async with stored.exclusive():
            stored.write(None)

    if gateway:
        asyncio.run(work())


def status(
    data_dir: DataDir = None,
    wide: Annotated[bool, typer.Option("--wide", help="Show the addresses of metrics too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the processes. The exit code is 1 if nothing is running."""
    current = local().status(data_dir)
    if as_json:
        print_json(current)
    elif current["running"]:
        state = "ready" if current["ready"] else "not ready"
        out.print(f"{current['gateway'] or 'starting'} ({state}), data in {escape(current['data_dir'])}", soft_wrap=True)
        rows = table("PROCESS", "STATE", "MIB", "RESTARTS", "PORT", "PID")
        for process in current["processes"]:
            mib = f"{process['pss_mib']:.0f}" if process["pss_mib"] else ""
            rows.add_row(process["name"], process["state"], mib, *(str(process[name] or "") for name in ("restarts", "port", "pid")))
        out.print(rows)
        if wide:
            out.print("\nMetrics for Prometheus:")
        for process in current["processes"] if wide else ():
            if process["metrics"]:
                out.print(f"  {process['name']}: {escape(process['metrics'])}", soft_wrap=True)
    else:
        out.print(nothing_runs(current), soft_wrap=True)
    raise typer.Exit(0 if current["running"] else 1)


def nothing_runs(current: dict[str, Any]) -> str:
    directory = escape(current["data_dir"])
    return f"Nothing is running in {directory}. Start it with `semantik up`, or name its --data-dir or SEMANTIK_DATA_DIR."


def logs(
    service: Annotated[str, typer.Argument(help="auth, collection, operation, embedding, search, worker, envoy, postgres, redis, qdrant.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The number of lines to print, from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print new lines as they come.")] = False,
    data_dir: DataDir = None,
    as_json: JsonOption = False,
) -> None:
    """Print the log of a process; with --json, one object for each line."""
    import asyncio

    supervisor = local()

    async def work() -> None:
        async for line in supervisor.logs(data_dir, service, lines, follow=follow):
            if as_json:
                print_json({"process": service, "line": line})
            else:
                sys.stdout.write(printable(line) + "\n")
                sys.stdout.flush()

    try:
        asyncio.run(work())
    except supervisor.MeshError as error:
        fail(str(error), 4)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
