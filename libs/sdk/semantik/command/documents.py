"""semantik documents ..."""

import base64
import sys
from typing import Annotated

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
    run,
    table,
    word,
)
from semantik.command.finding import collection_named
from semantik.command.naming import document_id
from semantik.command.quick import Commands

app = Commands(no_args_is_help=True, help="List, read, retry and delete documents.")
Name = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's id, or with -c its path.")]
Within = Annotated[str, typer.Option("--collection", "-c", help="The collection in which DOCUMENT is a path, by name or id.")]
Whole = Annotated[str, typer.Option("--collection", "-c", help="The collection, by name or id.")]


@app.command("list")
def list_documents(
    collection: Whole,
    prefix: Annotated[str, typer.Option(help="Only paths with this prefix.")] = "",
    ids: IdsOption = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """List a collection's documents by path."""

    async def work() -> None:
        async with client(address) as semantik:
            collection_id = (await collection_named(semantik, collection)).id
            documents = [document async for document in semantik.documents.list(collection_id, path_prefix=prefix)]
        if as_json:
            print_json(list(documents))
            return
        rows = table("PATH", "STATE", "CHUNKS", "TYPE", *(("ID",) if ids else ()))
        for document in documents:
            state = word(document, "state")
            reason = f" ({word(document, 'reason')})" if document.reason else ""
            rows.add_row(escape(document.path), state + reason, str(document.chunk_count), escape(document.mime_type), document.id)
        out.print(rows if documents else "No documents.")

    run(work())


@app.command()
def content(
    document: Name,
    collection: Within = "",
    original: Annotated[bool, typer.Option("--original", help="Print the uploaded file instead.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Print the text that was indexed, or the uploaded file; with --json as one string, the file in base64."""

    async def work() -> None:
        async with client(address) as semantik:
            parts = semantik.documents.content(await document_id(semantik, document, collection), original=original)
            if as_json:
                whole = b"".join([part async for part in parts])
                print_json({"original": base64.b64encode(whole).decode()} if original else {"text": whole.decode()})
                return
            async for part in parts:
                sys.stdout.buffer.write(part)

    run(work())


@app.command()
def retry(
    collection: Whole,
    documents: Annotated[
        list[str] | None, typer.Argument(metavar="[DOCUMENT]...", help="Documents' ids or paths; all failed documents by default.")
    ] = None,
    permanent: Annotated[bool, typer.Option("--all", help="Also documents for which a retry is unlikely to help.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Try failed documents again, and watch it happen."""
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            into = await collection_named(semantik, collection)
            named = [await document_id(semantik, document, into.id) for document in documents or ()]
            count, operation = await semantik.documents.retry(into.id, named, include_permanent=permanent)
            if not operation.id:
                print_json({"operationId": ""}) if as_json else err.print("No document has failed.")
                return 0
            if detach:
                print_json({"operationId": operation.id}) if as_json else err.print(f"Started {operation.id} for {count} documents.")
                return 0
            return await follow(semantik, operation.id, as_json=as_json)

    run(work())


@app.command()
def delete(document: Name, collection: Within = "", address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Delete a document; searches no longer find it."""

    async def work() -> None:
        async with client(address) as semantik:
            operation = await semantik.documents.delete(await document_id(semantik, document, collection))
            print_json(operation) if as_json else out.print("Deleted.")

    run(work())
