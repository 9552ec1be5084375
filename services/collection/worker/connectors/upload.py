"""Uploads: listed by nobody, read from object storage."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from services.collection.objects import Objects
from services.collection.tables import Reason
from services.collection.worker.connectors.entries import Content, Entry, OpenFile
from services.collection.worker.extraction.extracted import UnreadableError


class UploadConnector:
    """The upload source of a collection: each document arrives by itself."""

    is_complete = False
    leaves_secrets_out = False

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def entries(self) -> AsyncIterator[list[Entry]]:
        """Yield nothing: an upload is a row from the moment it is accepted."""
        batches: tuple[list[Entry], ...] = ()
        for batch in batches:
            yield batch

    @asynccontextmanager
    async def content(self, locator: Mapping[str, Any]) -> AsyncIterator[Content]:
        """Copy an upload into a file without a name, which is gone with its descriptor, whatever ends the process."""
        if locator.get("kind") != "object":
            raise UnreadableError(Reason.UNREADABLE, "the upload's content is not stored")
        descriptor = await asyncio.to_thread(_unnamed)
        try:
            size = 0
            try:
                async for part in self._objects.stream(locator["key"]):
                    await asyncio.to_thread(_write, descriptor, part)
                    size += len(part)
            except FileNotFoundError as error:
                raise UnreadableError(Reason.UNREADABLE, "the upload's content is missing from object storage") from error
            os.lseek(descriptor, 0, os.SEEK_SET)
            yield OpenFile(descriptor, size)
        finally:
            os.close(descriptor)

    async def digest(self, entry: Entry) -> str:
        """Return what the upload's row knows."""
        return entry.sha256


def _unnamed() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _write(descriptor: int, part: bytes) -> None:
    view = memoryview(part)
    while view:
        view = view[os.write(descriptor, view) :]
