"""Where a connector finds a document's content again: what ``documents.source_metadata`` holds, by ``kind``."""

from typing import Literal, TypedDict


class FileLocator(TypedDict):
    """A file; ``path`` is relative to its source, with symbolic links resolved, and empty where the source is the file."""

    kind: Literal["file"]
    path: str


class LineLocator(TypedDict):
    """A line of a JSON lines file: ``offset`` and ``length`` in bytes, ``key`` as listed."""

    kind: Literal["line"]
    path: str
    offset: int
    length: int
    key: str


class ObjectLocator(TypedDict):
    """An upload's bytes in object storage."""

    kind: Literal["object"]
    key: str


Locator = FileLocator | LineLocator | ObjectLocator


def object_locator(key: str) -> ObjectLocator:
    """Return the locator of an upload stored under ``key``."""
    return {"kind": "object", "key": key}
