"""semantik sources ..."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from semantik.command.context import (
    DEFAULT_ADDRESS,
    AddressOption,
    IdsOption,
    JsonOption,
    client,
    err,
    escape,
    out,
    print_json,
    printable,
    run,
    table,
)
from semantik.command.finding import collection_named
from semantik.command.naming import source_named
from semantik.command.quick import Commands
from semantik.command.settings import Excludes, Hidden, Ignored, Includes, Secrets, Settings, in_words

if TYPE_CHECKING:
    from semantik.collection.v1.source_pb2 import Source

app = Commands(no_args_is_help=True, help="List, sync, change and remove the folders and files that collections are filled from.")
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection, by name or id.")]
InCollection = Annotated[str, typer.Option("--collection", "-c", help="The collection; needed unless an id names the source.")]
Named = Annotated[str, typer.Argument(metavar="SOURCE", help="The source's path or its last part, `upload`, or the source's id.")]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")]


@app.command("list")
def list_sources(
    collection: Collection,
    ids: IdsOption = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """List a collection's sources, newest first."""
    from rich.filesize import decimal

    async def work() -> None:
        async with client(address) as semantik:
            sources = [source async for source in semantik.sources.list((await collection_named(semantik, collection)).id)]
        if as_json:
            print_json(list(sources))
            return
        rows = table("SOURCE", "DOCUMENTS", "SIZE", "SYNCED", *(["ID"] if ids else []))
        for source in sources:
            shown = escape(source.location) + (f"\n  [dim]{escape(in_words(source.directory))}[/]" if _has_options(source) else "")
            rows.add_row(shown, f"{source.document_count:,}", decimal(source.size_bytes), _synced(source), *([source.id] if ids else []))
        out.print(rows if sources else "No sources.")

    run(work())


@app.command()
def show(source: Named, collection: InCollection = "", address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one source and its options."""
    from rich.filesize import decimal

    async def work() -> None:
        async with client(address) as semantik:
            found = await source_named(semantik, source, collection)
        if as_json:
            print_json(found)
            return
        out.print(f"[bold]{escape(found.location)}[/] {found.id}", soft_wrap=True)
        out.print(f"{found.document_count:,} documents, {decimal(found.size_bytes)}")
        if found.HasField("directory"):
            out.print(f"last synced: {_synced(found)}")
            out.print(f"options: {escape(in_words(found.directory))}", soft_wrap=True)

    run(work())


@app.command()
def sync(
    source: Named,
    collection: InCollection = "",
    detach: Detach = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Read a source again: index what is new or changed, remove what is gone. The exit code is 1 if a file failed."""
    from semantik.command import failures
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            found = await source_named(semantik, source, collection)
            operation = await semantik.sources.sync(found.id)
            if detach:
                print_json(operation) if as_json else err.print(f"Started {operation.id}.")
                return 0
            code = await follow(semantik, operation.id, as_json=as_json)
            into = await semantik.collections.get(found.collection_id)
            return code or int(await failures.report(semantik, into, [operation.id], quiet=as_json))

    run(work())


@app.command()
def update(
    source: Named,
    collection: InCollection = "",
    include: Includes = None,
    exclude: Excludes = None,
    hidden: Hidden = None,
    ignored: Ignored = None,
    secrets: Secrets = None,
    detach: Detach = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Change the options of a source and read it again: files that no longer match are removed, others are added.

    What is not named stays; --include '*' takes the patterns away.
    """
    from semantik.command.starting import capability
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            found = await source_named(semantik, source, collection)
            if not found.HasField("directory"):
                err.print("Uploads have no options; delete documents with `semantik documents delete`.")
                return 2
            changed = Settings(include, exclude, hidden, ignored, secrets).over(found.directory)
            now, operation = await semantik.sources.update(found.id, changed, operator_capability=capability(address))
            if detach:
                print_json(operation) if as_json else err.print(f"Started {operation.id}.")
                return 0
            if not as_json:
                err.print(f"The options are now: {escape(in_words(now.directory))}.")
            return await follow(semantik, operation.id, as_json=as_json)

    run(work())


@app.command()
def remove(
    source: Named,
    collection: InCollection = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    detach: Detach = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Remove a source and its documents from the collection; the files themselves are left alone."""
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            found = await source_named(semantik, source, collection)
            if not yes and sys.stdin.isatty():
                typer.confirm(
                    f"Remove {printable(found.location)!r} and its {found.document_count:,} documents from the collection?", abort=True
                )
            operation = await semantik.sources.remove(found.id)
            if detach:
                print_json(operation) if as_json else err.print(f"Started {operation.id}.")
                return 0
            return await follow(semantik, operation.id, as_json=as_json)

    run(work())


def _has_options(source: "Source") -> bool:
    return source.HasField("directory") and in_words(source.directory) != in_words(type(source.directory)())


def _synced(source: "Source") -> str:
    if not source.HasField("directory"):
        return ""
    return source.last_sync_time.ToJsonString()[:16].replace("T", " ") if source.HasField("last_sync_time") else "never"
