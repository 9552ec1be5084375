"""What people call documents: an id, or a path."""

import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from semantik.client import Client


def is_id(text: str) -> bool:
    """Return whether the text is a whole id."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


async def document_id(semantik: "Client", name: str, collection: str) -> str:
    """Return the id of the document with this id, or with this path in ``collection``; raises NOT_FOUND."""
    from semantik.client import SemantikError
    from semantik.command.finding import collection_named

    if is_id(name):
        return name
    if not collection:
        raise SemantikError("INVALID_ARGUMENT", "", f"{name!r} is not an id; to name a document by its path, add its collection: -c NAME")
    within = (await collection_named(semantik, collection)).id
    async for document in semantik.documents.list(within, path_prefix=name):
        if document.path == name:
            return document.id
    raise SemantikError("NOT_FOUND", "DOCUMENT_NOT_FOUND", f"there is no document {name!r} in {collection}")
