"""semantik collections ..."""

from typing import Annotated

import typer
from rich.filesize import decimal

from semantik.collection.v1.collection_pb2 import Collection
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, escape, out, print_json, run, table
from semantik.command.watching import follow

app = typer.Typer(no_args_is_help=True, help="Create, list and change collections.")
Name = Annotated[str, typer.Argument(help="The collection's name.")]


def _state(collection: Collection) -> str:
    return Collection.State.Name(collection.state).removeprefix("STATE_").lower()


def _degraded(collection: Collection) -> str:
    name = escape(collection.name)
    return f"{name} is degraded: some documents failed; `semantik documents list -c {name} --state failed` names them."


@app.command("list")
def list_collections(address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """List the collections you may read."""

    async def work() -> None:
        async with client(address) as semantik:
            collections = [collection async for collection in semantik.collections.list()]
        if as_json:
            print_json(list(collections))
            return
        rows = table("NAME", "STATE", "DOCUMENTS", "CHUNKS", "MODEL", "ID")
        for collection in collections:
            counts = str(collection.document_count), str(collection.chunk_count)
            rows.add_row(escape(collection.name), _state(collection), *counts, collection.model, collection.id)
        out.print(rows if collections else "No collections yet. Create one with `semantik index PATH --collection NAME`.")
        for collection in collections:
            if collection.state == Collection.STATE_DEGRADED:
                out.print(_degraded(collection), soft_wrap=True)

    run(work())


@app.command()
def create(
    name: Name,
    description: Annotated[str, typer.Option(help="A description of its contents.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Let every signed-in user read it.")] = False,
    chunk_size: Annotated[int | None, typer.Option(help="The maximum number of tokens in a chunk (default 200).")] = None,
    chunk_overlap: Annotated[int | None, typer.Option(help="The number of tokens that adjacent chunks share (default 40).")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Create an empty collection."""

    async def work() -> None:
        async with client(address) as semantik:
            collection = await semantik.collections.create(
                name, description=description, is_public=public, chunk_size=chunk_size, chunk_overlap=chunk_overlap
            )
            print_json(collection) if as_json else out.print(f"Created [bold]{escape(collection.name)}[/] ({collection.id}).")

    run(work())


@app.command()
def show(name: Name, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one collection."""

    async def work() -> None:
        async with client(address) as semantik:
            collection = await semantik.collections.named(name)
        if as_json:
            print_json(collection)
            return
        out.print(f"[bold]{escape(collection.name)}[/] {collection.id}")
        reason = f": {escape(collection.state_reason)}" if collection.state_reason else ""
        out.print(f"{_state(collection)}{reason}" + (", public" if collection.is_public else ""))
        if collection.state == Collection.STATE_DEGRADED:
            out.print(f"`semantik documents list -c {escape(collection.name)} --state failed` names them", soft_wrap=True)
        out.print(f"{collection.document_count:,} documents, {collection.chunk_count:,} chunks, {decimal(collection.size_bytes)}")
        out.print(f"{collection.model}, chunks of {collection.chunk_size} tokens with an overlap of {collection.chunk_overlap}")

    run(work())


@app.command()
def update(
    name: Name,
    rename: Annotated[str | None, typer.Option(help="A new name.")] = None,
    description: Annotated[str | None, typer.Option(help="A new description.")] = None,
    public: Annotated[bool | None, typer.Option("--public/--private", help="Let every signed-in user read it, or only you.")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Change a collection's name, description or visibility."""

    async def work() -> None:
        async with client(address) as semantik:
            collection = await semantik.collections.named(name)
            changed = await semantik.collections.update(collection.id, name=rename, description=description, is_public=public)
            print_json(changed) if as_json else out.print(f"Updated [bold]{escape(changed.name)}[/].")

    run(work())


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Delete a collection and everything in it."""
    if not yes:
        typer.confirm(f"Delete {name!r} and everything in it?", abort=True)

    async def work() -> int:
        async with client(address) as semantik:
            collection = await semantik.collections.named(name)
            operation = await semantik.collections.delete(collection.id)
            return await follow(semantik, operation.id, as_json=as_json)

    run(work())
