"""A directory, or a single file, of the machine the worker runs on."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from services.collection.roots import Roots
from services.collection.tables import Reason
from services.collection.worker.connectors import lines
from services.collection.worker.connectors.entries import Content, Entry, KnownText, OpenFile, UnreadableSourceError
from services.collection.worker.connectors.files import Files
from services.collection.worker.connectors.tree import Tree
from services.collection.worker.extraction.extracted import UnreadableError

_BATCH = 500


class DirectoryConnector:
    """Everything below ``location`` that ``config`` does not leave out: ``include``, ``exclude`` (globs) and ``hidden``.

    ``anywhere`` in ``config`` says that the mesh's operator added it, who may read outside the roots.
    """

    is_complete = True

    def __init__(self, location: str, config: Mapping[str, Any], roots: Roots) -> None:
        self._location = location
        self._config = config
        self.leaves_secrets_out = not config.get("secrets")
        self._roots = roots.anywhere() if config.get("anywhere") else roots
        self._opened: Files | None = None

    async def entries(self) -> AsyncIterator[list[Entry]]:
        """Yield entries in batches; raises UnreadableSourceError."""
        listing = self._listing()
        while batch := await asyncio.to_thread(lambda: list(islice(listing, _BATCH))):
            yield batch

    @asynccontextmanager
    async def content(self, locator: Mapping[str, Any]) -> AsyncIterator[Content]:
        """Open a file, or read a line of one; raises UnreadableError, also where the file has changed since it was listed."""
        try:
            content = await asyncio.to_thread(self._open, locator)
        except (OSError, ValueError, UnreadableSourceError) as error:
            raise UnreadableError(Reason.UNREADABLE, f"the file cannot be read: {_cause(error)}") from error
        try:
            yield content
        finally:
            if isinstance(content, OpenFile):
                os.close(content.descriptor)

    async def digest(self, entry: Entry) -> str:
        """Return the SHA-256 of an entry's bytes; raises OSError."""
        return entry.sha256 or await asyncio.to_thread(self._digest, entry.locator)

    def _listing(self) -> Iterator[Entry]:
        yield from Tree(self._files(), self._config).entries()

    def _open(self, locator: Mapping[str, Any]) -> Content:
        files = self._files()
        match locator.get("kind"):
            case "line":
                return KnownText(lines.text(files, locator))
            case "file":
                descriptor = files.open_file(locator["path"])
                return OpenFile(descriptor, os.fstat(descriptor).st_size)
            case kind:
                raise ValueError(f"a directory has no content of kind {kind}")

    def _digest(self, locator: Mapping[str, Any]) -> str:
        with self._files().reading(locator["path"]) as descriptor, os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _files(self) -> Files:
        """Return the files below the location, with symbolic links resolved: when it was added it was allowed, by now a link may
        lead elsewhere.

        Asked once: every later way through it is opened without following links.
        """
        if self._opened is None:
            self._opened = Files(self._resolve(), self._roots)
        return self._opened

    def _resolve(self) -> Path:
        try:
            root = Path(self._location).resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise UnreadableSourceError(f"the source cannot be read: {_cause(error)}") from error
        if not self._roots.permit(root):
            raise UnreadableSourceError("the source is outside the directories this installation allows")
        return root


def _cause(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
