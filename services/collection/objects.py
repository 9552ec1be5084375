"""Uploads and artifacts: a directory by default, S3-compatible by URL."""

import asyncio
import errno
import glob
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from libs.db.tables import new_id

_PART_BYTES = 1024 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_TEXTS = (*(f"os error {number}" for number in _FULL), "InsufficientStorage", "QuotaExceeded")


class ObjectsFullError(Exception):
    """The store of objects has no space left; nothing was written."""


def unique_key(collection_id: str, document_id: str, kind: str, content_sha256: str) -> str:
    """Return where a new object lies; no two have the same key, so that each has one owner."""
    return f"{collection_id}/{document_id}/{kind.lower()}/{content_sha256}-{new_id()}"


def is_full(error: BaseException) -> bool:
    """Return whether ``error`` says that a disk or a bucket has no space left."""
    return (isinstance(error, OSError) and error.errno in _FULL) or any(text in str(error) for text in _FULL_TEXTS)


class Objects:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._directory = Path(parts.path) if parts.scheme == "file" else None
        self._store: ObjectStore = LocalStore(parts.path, mkdir=True, automatic_cleanup=True) if self._directory else from_url(url)

    async def put(self, name: str, content: IO[bytes] | bytes) -> None:
        """Store an object, whole or not at all; raises ObjectsFullError."""
        try:
            await obstore.put_async(self._store, name, content)
        except (BaseError, OSError) as error:
            if is_full(error):
                raise ObjectsFullError(name) from error
            raise

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object in parts of about 1 MiB; raises FileNotFoundError."""
        response = await obstore.get_async(self._store, name)
        async for part in response.stream(min_chunk_size=_PART_BYTES):
            yield bytes(part)

    async def delete(self, names: Sequence[str]) -> None:
        """Delete objects, and what is left of attempts to write them; those that are not there are no error."""
        if self._directory is None:
            await obstore.delete_async(self._store, list(names))
            return
        for name in names:
            await asyncio.to_thread(_delete_unfinished, self._directory / name)
            try:
                await obstore.delete_async(self._store, name)
            except FileNotFoundError:
                continue

    async def delete_below(self, prefix: str) -> None:
        """Delete everything whose name begins with ``prefix`` and a slash."""
        async for batch in obstore.list(self._store, prefix=prefix):
            await self.delete([entry["path"] for entry in batch])


def _delete_unfinished(path: Path) -> None:
    """Delete the files beside ``path`` that a process left which was killed while it wrote the object."""
    for unfinished in path.parent.glob(f"{glob.escape(path.name)}#*"):
        unfinished.unlink(missing_ok=True)
