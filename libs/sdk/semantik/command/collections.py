"""semantik collections ..."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from semantik.command.context import (
    DEFAULT_ADDRESS,
    AddressOption,
    IdsOption,
    JsonOption,
    client,
    escape,
    out,
    print_json,
    printable,
    run,
    table,
    word,
)
from semantik.command.finding import collection_named
from semantik.command.precision import ModelOption, Precision, PrecisionOption
from semantik.command.quick import Commands

if TYPE_CHECKING:
    from semantik.collection.v1.collection_pb2 import Collection

app = Commands(no_args_is_help=True, help="Create, list and change collections.")
Name = Annotated[str, typer.Argument(help="The collection's name or id.")]
_DEGRADED = "degraded"


@app.command("list")
def list_collections(ids: IdsOption = False, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """List the collections you may read."""

    async def work() -> None:
        async with client(address) as semantik:
            collections = [collection async for collection in semantik.collections.list()]
        if as_json:
            print_json(list(collections))
            return
        rows = table("NAME", "STATE", "DOCUMENTS", "CHUNKS", "MODEL", *(("ID",) if ids else ()))
        for collection in collections:
            counts = f"{collection.document_count:,}", f"{collection.chunk_count:,}"
            rows.add_row(escape(collection.name), _state(collection), *counts, escape(collection.model), collection.id)
        out.print(rows if collections else "No collections yet. Create one with `semantik index PATH --collection NAME`.")
        for collection in collections:
            if word(collection, "state") == _DEGRADED:
                out.print(_hint(collection), soft_wrap=True)

    run(work())


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The collection's name.")],
    description: Annotated[str, typer.Option(help="A description of its contents.")] = "",
    public: Annotated[bool, typer.Option("--public", help="Let every signed-in user read it.")] = False,
    model: ModelOption = "",
    precision: PrecisionOption = None,
    chunk_size: Annotated[int | None, typer.Option(help="The maximum number of tokens in a chunk (default 200).")] = None,
    chunk_overlap: Annotated[int | None, typer.Option(help="The number of tokens that adjacent chunks share (default 40).")] = None,
    language: Annotated[str, typer.Option("--language", help="The language of its documents, such as de; detected if not given.")] = "",
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Create an empty collection."""

    async def work() -> None:
        async with client(address) as semantik:
            collection = await semantik.collections.create(
                name,
                description=description,
                is_public=public,
                model=model,
                precision=Precision.message(precision),
                chunk_size=chunk_size,
                chunk_overlap=chunk_overlap,
                language=language,
            )
            print_json(collection) if as_json else out.print(f"Created [bold]{escape(collection.name)}[/].")

    run(work())


@app.command()
def show(name: Name, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Show one collection."""
    from rich.filesize import decimal

    async def work() -> None:
        async with client(address) as semantik:
            collection = await collection_named(semantik, name)
        if as_json:
            print_json(collection)
            return
        out.print(f"[bold]{escape(collection.name)}[/] [dim]{collection.id}[/]")
        out.print(_state(collection) + (", public" if collection.is_public else ""))
        if word(collection, "state") == _DEGRADED:
            out.print(_hint(collection), soft_wrap=True)
        out.print(f"documents: {collection.document_count:,}, chunks: {collection.chunk_count:,}, {decimal(collection.size_bytes)}")
        model = f"{escape(collection.model)} in {word(collection, 'precision')}"
        how = "as set" if collection.language else "as detected"
        out.print(f"language: {escape(collection.index_language)}, {how}")
        out.print(f"{model}, chunks of {collection.chunk_size} tokens with an overlap of {collection.chunk_overlap}")

    run(work())


@app.command()
def update(
    name: Name,
    rename: Annotated[str | None, typer.Option(help="A new name.")] = None,
    description: Annotated[str | None, typer.Option(help="A new description.")] = None,
    public: Annotated[bool | None, typer.Option("--public/--private", help="Let every signed-in user read it, or only you.")] = None,
    language: Annotated[str | None, typer.Option(help="The language of its documents, such as de; '' detects it.")] = None,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Change a collection's name, description, visibility or language."""

    async def work() -> None:
        async with client(address) as semantik:
            collection = await collection_named(semantik, name)
            changed = await semantik.collections.update(
                collection.id, name=rename, description=description, is_public=public, language=language
            )
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
    from semantik.command.watching import follow

    if not yes:
        typer.confirm(f"Delete {printable(name)!r} and everything in it?", abort=True)

    async def work() -> int:
        async with client(address) as semantik:
            collection = await collection_named(semantik, name)
            operation = await semantik.collections.delete(collection.id)
            return await follow(semantik, operation.id, as_json=as_json)

    run(work())


def _state(collection: "Collection") -> str:
    state = word(collection, "state")
    return f"{state} ({escape(collection.state_reason)})" if collection.state_reason else state


def _hint(collection: "Collection") -> str:
    """Return the command that explains a degraded collection, as it is typed in a shell."""
    name = escape(shlex.quote(printable(collection.name)))
    return f"The documents that failed: semantik documents list -c {name} --state failed"
