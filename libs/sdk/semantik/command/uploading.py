"""Uploads what is selected of a folder."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from google.protobuf import json_format

from semantik.client import Client, SemantikError
from semantik.collection.v1.document_pb2 import Document
from semantik.collection.v1.source_pb2 import DirectoryConfig, Source
from semantik.command.context import err, escape
from semantik.command.listing import listed
from semantik.command.settings import Settings
from semantik.operation.v1.operation_pb2 import Operation
from semantik.selection import Selection, SelectionError

_UPLOADS_AT_ONCE = 4
_SHOWN = 5


async def upload(
    semantik: Client, collection_id: str, path: Path, settings: Settings, metadata: Sequence[str] = ()
) -> tuple[list[Operation], bool]:
    """Upload files side by side, with ``metadata`` noted on each; return the operations that index them, the oldest first, and whether a
    file was not taken.

    With other settings than before, what was uploaded of the folder and is not selected any more is removed.
    """
    try:
        names = _listed(path, settings)
    except (OSError, SelectionError) as error:
        err.print(f"[red]error:[/] {escape(str(path))} cannot be read: {escape(str(error))}")
        return [], True
    err.print(f"Uploading {len(names):,} files." if len(names) != 1 else "Uploading one file.")
    places = asyncio.Semaphore(_UPLOADS_AT_ONCE)
    operations: dict[str, Operation] = {}
    failed: list[str] = []
    deleted = {document.path async for document in semantik.documents.list(collection_id, states=[Document.STATE_DELETED])}

    async def send(name: str) -> None:
        async with places:
            try:
                file = path / name if path.is_dir() else path
                _, operation = await semantik.documents.upload(collection_id, file, name, metadata_entries=metadata)
            except (SemantikError, OSError) as error:
                failed.append(name)
                err.print(f"[red]{escape(name)}[/]: {escape(str(error))}")
                return
        if operation.id:
            operations[operation.id] = operation
        if name in deleted:
            err.print(f"{escape(name)} was deleted; it comes back.")

    await asyncio.gather(*(send(name) for name in names))
    if settings != Settings():
        operations |= await _without_others(semantik, collection_id, path, set(names))
    return sorted(operations.values(), key=lambda operation: operation.create_time.ToNanoseconds()), bool(failed)


async def _without_others(semantik: Client, collection_id: str, folder: Path, names: set[str]) -> dict[str, Operation]:
    """Remove uploads of files that lie in the folder as they were uploaded, and are none of ``names``."""
    uploads = {source.id async for source in semantik.sources.list(collection_id) if source.kind == Source.KIND_UPLOAD}
    others = [
        document
        async for document in semantik.documents.list(collection_id)
        if document.source_id in uploads and document.path not in names and _is_same(folder / document.path, document)
    ]
    if others:
        which = "One file that was uploaded before is" if len(others) == 1 else f"{len(others):,} files that were uploaded before are"
        err.print(f"{which} not selected any more and removed.")
    removals = [await semantik.documents.delete(document.id) for document in others]
    return {operation.id: operation for operation in removals}


def _is_same(file: Path, document: Document) -> bool:
    try:
        return file.is_file() and file.stat().st_size == document.size_bytes
    except OSError:
        return False


def _listed(path: Path, settings: Settings) -> list[str]:
    """Return the names of the files to upload; says which of those that are selected are left out."""
    directory = settings.over(DirectoryConfig(path=str(path)))
    found = list(listed(path, Selection.of(json_format.MessageToDict(directory, preserving_proto_field_name=True))))
    refused = [file for file in found if file.refusal]
    for file in refused[:_SHOWN]:
        err.print(f"Left out: {escape(file.name)} {escape(file.refusal)}.")
    if len(refused) > _SHOWN:
        err.print(f"Left out: {len(refused) - _SHOWN:,} more.")
    return [file.name for file in found if not file.refusal]
