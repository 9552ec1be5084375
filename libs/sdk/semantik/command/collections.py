"""semantik collections ..."""

from typing import Annotated

import typer
from rich.markup import escape

from semantik.collection.v1.collection_pb2 import Collection
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, out, print_json, run, table
from semantik.command.watching import follow

app = typer.Typer(no_args_is_help=True, help="Create, list and change collections.")
Name = Annotated[str, typer.Argument(help="The collection's name.")]


def _state(collection: Collection) -> str:
    return Collection.State.Name(collection.state).removeprefix("STATE_").lower()


@app.command("list")
def list_collections(address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """List the collections you may read."""

    async def work() -> None:
        async with client(address) as semantik:
            found = [each async for each in semantik.collections.list()]
        if as_json:
            print_json(list(found))
            return
        rows = table("NAME", "STATE", "DOCUMENTS", "CHUNKS", "MODEL", "ID")
        for each in found:
            rows.add_row(escape(each.name), _state(each), str(each.document_count), str(each.chunk_count), each.model, each.id)
        out.print(rows if found else "No collections yet. Make one with `semantik index PATH --collection NAME`.")

    run(work())


@app.command()
def create(
    name: Name,
    description: Annotated[str, typer.Option(help="What is in it.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Let every signed-in user read it.")] = False,
    chunk_size: Annotated[int | None, typer.Option(help="Most tokens in a chunk (default 200).")] = None,
    chunk_overlap: Annotated[int | None, typer.Option(help="Tokens neighbouring chunks share (default 40).")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Create an empty collection."""

    async def work() -> None:
        async with client(address) as semantik:
            made = await semantik.collections.create(
                name, description=description, is_public=public, chunk_size=chunk_size, chunk_overlap=chunk_overlap
            )
            print_json(made) if as_json else out.print(f"Created [bold]{escape(made.name)}[/] ({made.id}).")

    run(work())


@app.command()
def show(name: Name, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one collection."""

    async def work() -> None:
        async with client(address) as semantik:
            found = await semantik.collections.named(name)
        if as_json:
            print_json(found)
            return
        out.print(f"[bold]{escape(found.name)}[/] {found.id}")
        out.print(f"{_state(found)} {escape(found.state_reason)}".strip() + (", public" if found.is_public else ""))
        out.print(f"{found.document_count} documents, {found.chunk_count} chunks, {found.size_bytes} bytes")
        out.print(f"{found.model}, chunks of {found.chunk_size} tokens, {found.chunk_overlap} shared")

    run(work())


@app.command()
def update(
    name: Name,
    rename: Annotated[str | None, typer.Option(help="A new name.")] = None,
    description: Annotated[str | None, typer.Option(help="A new description.")] = None,
    public: Annotated[bool | None, typer.Option("--public/--private", help="Let every signed-in user read it, or not.")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Rename, describe, publish or take back a collection."""

    async def work() -> None:
        async with client(address) as semantik:
            found = await semantik.collections.named(name)
            changed = await semantik.collections.update(found.id, name=rename, description=description, is_public=public)
            print_json(changed) if as_json else out.print(f"Changed [bold]{escape(changed.name)}[/].")

    run(work())


@app.command()
def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Delete a collection with everything in it."""
    if not yes:
        typer.confirm(f"Delete {name!r} with everything in it?", abort=True)

    async def work() -> int:
        async with client(address) as semantik:
            found = await semantik.collections.named(name)
            operation = await semantik.collections.delete(found.id)
            return await follow(semantik, operation.id, as_json=as_json)

    run(work())
