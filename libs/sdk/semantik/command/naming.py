"""What people call documents and sources: an id, or a path."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semantik.client import Client
    from semantik.collection.v1.source_pb2 import Source


def is_id(name: str) -> bool:
    """Return whether a name is a UUID."""
    try:
        return str(uuid.UUID(name)) == name.lower()
    except ValueError:
        return False


async def document_id(semantik: "Client", name: str, collection: str, *, is_deleted: bool = False) -> str:
    """Return the id of a document by its id, or by its path in a collection; raises SemantikError NOT_FOUND."""
    [found] = await document_ids(semantik, [name], collection, is_deleted=is_deleted)
    return found


async def document_ids(semantik: "Client", names: Sequence[str], collection: str, *, is_deleted: bool = False) -> list[str]:
    """Return the ids of documents, or of deleted documents; raises as ``document_id``, before anything was done to one of them."""
    return [name if is_id(name) else await _at(semantik, name, collection, is_deleted=is_deleted) for name in names]


async def _at(semantik: "Client", path: str, collection: str, *, is_deleted: bool) -> str:
    from semantik.client import SemantikError
    from semantik.collection.v1.document_pb2 import Document

    collection_id = await _within(semantik, path, collection)
    states = [state for state in Document.State.values() if state and (state == Document.STATE_DELETED) == is_deleted]
    ids = [one.id async for one in semantik.documents.list(collection_id, path_prefix=path, states=states) if one.path == path]
    if not ids:
        message = f"the collection {collection!r} has no {'deleted ' if is_deleted else ''}document {path!r}"
        raise SemantikError("NOT_FOUND", "DOCUMENT_NOT_FOUND", message)
    if len(ids) > 1:
        raise SemantikError("INVALID_ARGUMENT", "INVALID_REQUEST", f"{path!r} names several documents; use an id: {', '.join(ids)}")
    return ids[0]


async def source_named(semantik: "Client", name: str, collection: str) -> "Source":
    """Return a source by its id, or by its path, or the last part of it, in a collection; raises SemantikError NOT_FOUND."""
    from semantik.client import SemantikError

    if is_id(name):
        return await semantik.sources.get(name)
    collection_id = await _within(semantik, name, collection)
    sources = [source async for source in semantik.sources.list(collection_id)]
    matches = [source for source in sources if source.location in (name, str(Path(name).expanduser().resolve()))]
    matches = matches or [source for source in sources if Path(source.location).name == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        message = f"{name!r} names several sources; use a path or an id: {', '.join(source.location for source in matches)}"
        raise SemantikError("INVALID_ARGUMENT", "INVALID_REQUEST", message)
    raise SemantikError("NOT_FOUND", "SOURCE_NOT_FOUND", f"the collection {collection!r} has no source {name!r}")


async def _within(semantik: "Client", name: str, collection: str) -> str:
    from semantik.client import SemantikError
    from semantik.command.finding import collection_named

    if not collection:
        raise SemantikError("INVALID_ARGUMENT", "", f"{name!r} is not an id; to name it by its path, add its collection: -c NAME")
    return (await collection_named(semantik, collection)).id
