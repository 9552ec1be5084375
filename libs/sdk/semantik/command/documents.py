"""semantik documents ..."""

import base64
import sys
from enum import StrEnum
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
    printable,
    run,
    table,
    word,
)
from semantik.command.finding import collection_named
from semantik.command.naming import document_id, document_ids
from semantik.command.noting import MetadataOption
from semantik.command.quick import Commands

app = Commands(no_args_is_help=True, help="List, read, note on, retry, delete and undelete documents.")
Collection = Annotated[str, typer.Option("--collection", "-c", help="The collection, by name or id.")]
InCollection = Annotated[str, typer.Option("--collection", "-c", help="The collection; needed where a path names the document.")]
Named = Annotated[str, typer.Argument(metavar="DOCUMENT", help="The document's id, or its path in the collection.")]
SomeNamed = Annotated[list[str], typer.Argument(metavar="DOCUMENTS...", help="Documents' ids, or their paths in the collection.")]


class State(StrEnum):
    """The states one may ask for."""

    PENDING = "pending"
    PROCESSING = "processing"
    INDEXED = "indexed"
    SKIPPED = "skipped"
    FAILED = "failed"
    DELETED = "deleted"


@app.command("list")
def list_documents(
    collection: Collection,
    prefix: Annotated[str, typer.Option(help="Only paths with this prefix.")] = "",
    state: Annotated[list[State] | None, typer.Option(help="Only documents in this state; may be repeated.")] = None,
    ids: IdsOption = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """List a collection's documents by path, and why some are not indexed; deleted ones only with --state deleted."""
    from semantik.collection.v1.document_pb2 import Document
    from semantik.command.outcomes import why

    async def work() -> None:
        async with client(address) as semantik:
            collection_id = (await collection_named(semantik, collection)).id
            states = [Document.State.Value(f"STATE_{one.name}") for one in state or []]
            documents = [document async for document in semantik.documents.list(collection_id, path_prefix=prefix, states=states)]
            if as_json:
                print_json(list(documents))
                return
            paths = {document.id: document.path for document in documents}
            rows = table("DOCUMENT", "STATE", "CHUNKS", *(["ID"] if ids else []))
            for document in documents:
                reason = await why(semantik, document, paths)
                shown = escape(document.path) + (f"\n  [dim]{escape(reason)}[/]" if reason else "")
                rows.add_row(shown, word(document, "state"), str(document.chunk_count or ""), *([document.id] if ids else []))
        out.print(rows if documents else "No documents.")

    run(work())


@app.command()
def content(
    document: Named,
    collection: InCollection = "",
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
def update(
    document: Named,
    collection: InCollection = "",
    metadata: MetadataOption = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="KEY", help="What is no longer noted; may be repeated.")] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait until searches know it.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Note values on a document, by which searches filter and count."""
    from semantik.command.searching import noted

    async def work() -> None:
        async with client(address) as semantik:
            identifier = await document_id(semantik, document, collection)
            changed, operation = await semantik.documents.update(identifier, metadata_entries=metadata or (), removed_keys=remove or ())
            if operation.id and not detach:
                await semantik.operations.wait(operation.id)
        print_json(changed) if as_json else out.print(escape(noted(changed.metadata) or "Nothing is noted on it."))

    run(work())


@app.command()
def retry(
    collection: Collection,
    documents: Annotated[
        list[str] | None, typer.Argument(metavar="[DOCUMENTS]...", help="Documents' ids or paths; all failed documents by default.")
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
            ids = await document_ids(semantik, documents or [], collection)
            count, operation = await semantik.documents.retry(into.id, ids, include_permanent=permanent)
            if not operation.id:
                print_json({"operationId": ""}) if as_json else err.print("No document has failed.")
                return 0
            if detach:
                print_json({"operationId": operation.id}) if as_json else err.print(f"Started {operation.id} for {count} documents.")
                return 0
            return await follow(semantik, operation.id, as_json=as_json)

    run(work())


@app.command()
def delete(
    documents: SomeNamed,
    collection: InCollection = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask on a terminal.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Delete documents: searches no longer find them, and a sync does not bring them back; `documents undelete` does.

    Asks first on a terminal. An upload can be undeleted only until its bytes are freed, which takes seconds.
    """

    async def work() -> None:
        async with client(address) as semantik:
            ids = await document_ids(semantik, documents, collection)
            if not yes and sys.stdin.isatty():
                what = repr(documents[0]) if len(documents) == 1 else f"{len(documents)} documents"
                typer.confirm(f"Delete {printable(what)}?", abort=True)
            operations = [await semantik.documents.delete(one) for one in ids]
        if as_json:
            print_json(operations[0] if len(operations) == 1 else list(operations))
        else:
            out.print("Deleted." if len(ids) == 1 else f"Deleted {len(ids)} documents.")

    run(work())


@app.command()
def undelete(
    documents: SomeNamed,
    collection: InCollection = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for the end.")] = False,
    address: AddressOption = DEFAULT_ADDRESS,
    as_json: JsonOption = False,
) -> None:
    """Bring deleted documents back, as their files are now, and watch it happen.

    What cannot come back is named, and the exit code is 1: a file that is gone or that its source leaves out, and an upload
    whose bytes are freed.
    """
    from semantik.command.outcomes import show_undeleted
    from semantik.command.watching import follow

    async def work() -> int:
        async with client(address) as semantik:
            ids = await document_ids(semantik, documents, collection, is_deleted=True)
            answers = [await semantik.documents.undelete(one) for one in ids]
            operations = {operation.id: None for _, operation in answers if operation.id}
            if not detach:
                codes = [await follow(semantik, operation, as_json=as_json) for operation in operations]
                results = [await show_undeleted(semantik, document, as_json=as_json) for document, _ in answers]
                return int(any(codes) or not all(results))
        if as_json:
            print_json([document for document, _ in answers])
        else:
            out.print(f"Started {', '.join(operations)}." if operations else "Nothing was deleted.")
        return 0

    run(work())
