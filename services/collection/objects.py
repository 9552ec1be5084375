"""Uploads and artifacts: a directory by default, S3-compatible by URL."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

_PART_BYTES = 1024 * 1024


def key(collection_id: str, document_id: str, kind: str, content_sha256: str) -> str:
    """Return where an object lies; the content names it, so that writing it again changes nothing."""
    return f"{collection_id}/{document_id}/{kind.lower()}/{content_sha256}"


class Objects:
    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._store: ObjectStore = LocalStore(parts.path, mkdir=True) if parts.scheme == "file" else from_url(url)

    async def put_file(self, name: str, path: Path) -> None:
        """Store a file; whole or not at all."""
        await obstore.put_async(self._store, name, path)

    async def put(self, name: str, content: bytes) -> None:
        await obstore.put_async(self._store, name, content)

    async def get(self, name: str) -> bytes:
        """Return a whole object; raises FileNotFoundError."""
        found = await obstore.get_async(self._store, name)
        return bytes(await found.bytes_async())

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object in parts of about 1 MiB; raises FileNotFoundError."""
        found = await obstore.get_async(self._store, name)
        async for part in found.stream(min_chunk_size=_PART_BYTES):
            yield bytes(part)

    async def delete_below(self, prefix: str) -> None:
        """Delete everything whose name begins with ``prefix`` and a slash."""
        async for batch in obstore.list(self._store, prefix=prefix):
            names = [entry["path"] for entry in batch]
            if names:
                await obstore.delete_async(self._store, names)
