"""semantik documents ..."""

import base64
import sys
from typing import Annotated

import typer

from semantik.collection.v1.document_pb2 import Document
from semantik.command.context import DEFAULT_ADDRESS, AddressOption, JsonOption, client, escape, out, print_json, run, table

app = typer.Typer(no_args_is_help=True, help="List, read and delete documents.")
Id = Annotated[str, typer.Argument(help="The document's id.")]


@app.command("list")
def list_documents(
    collection: Annotated[str, typer.Option("--collection", "-c", help="The collection.")],
    prefix: Annotated[str, typer.Option(help="Only paths with this prefix.")] = "",
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """List a collection's documents by path."""

    async def work() -> None:
        async with client(address) as semantik:
            collection_id = (await semantik.collections.named(collection)).id
            documents = [document async for document in semantik.documents.list(collection_id, path_prefix=prefix)]
        if as_json:
            print_json(list(documents))
            return
        rows = table("PATH", "STATE", "CHUNKS", "TYPE", "ID")
        for document in documents:
            state = Document.State.Name(document.state).removeprefix("STATE_").lower()
            reason = f" ({Document.Reason.Name(document.reason).removeprefix('REASON_').lower()})" if document.reason else ""
            rows.add_row(escape(document.path), state + reason, str(document.chunk_count), escape(document.mime_type), document.id)
        out.print(rows if documents else "No documents.")

    run(work())


@app.command()
def content(
    document_id: Id,
    original: Annotated[bool, typer.Option("--original", help="Print the uploaded file instead.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Print the text that was indexed, or the uploaded file; with --json as one string, the file in base64."""

    async def work() -> None:
        async with client(address) as semantik:
            parts = semantik.documents.content(document_id, original=original)
            if as_json:
                whole = b"".join([part async for part in parts])
                print_json({"original": base64.b64encode(whole).decode()} if original else {"text": whole.decode()})
                return
            async for part in parts:
                sys.stdout.buffer.write(part)

    run(work())


@app.command()
def delete(document_id: Id, address: AddressOption = DEFAULT_ADDRESS, as_json: JsonOption = False) -> None:
    """Delete a document; searches no longer find it."""

    async def work() -> None:
        async with client(address) as semantik:
            operation = await semantik.documents.delete(document_id)
            print_json(operation) if as_json else out.print("Deleted.")

    run(work())
