"""What sources are read through: a connector to each kind of source, each in a file of its own."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from services.collection.objects import Objects
from services.collection.roots import Roots
from services.collection.tables import SourceKind
from services.collection.worker.connectors.directory import DirectoryConnector
from services.collection.worker.connectors.entries import Content, Entry
from services.collection.worker.connectors.upload import UploadConnector


class Connector(Protocol):
    """One source. Nothing it does holds the event loop."""

    @property
    def is_complete(self) -> bool:
        """Whether ``entries`` lists everything there is, so that what was not listed is gone."""

    @property
    def leaves_secrets_out(self) -> bool:
        """Whether a text that is a private key is not to be indexed: nobody chose it by itself."""

    def entries(self) -> AsyncIterator[list[Entry]]:
        """Yield what the source has, in batches, in the order of paths; raises UnreadableSourceError."""

    def content(self, locator: Mapping[str, Any]) -> AbstractAsyncContextManager[Content]:
        """Open a document listed earlier; raises UnreadableError."""

    async def digest(self, entry: Entry) -> str:
        """Return the SHA-256 of an entry's bytes, in hex; raises OSError."""


@dataclass(frozen=True)
class SourceSettings:
    """What a connector may need: the source's row, the directories this installation allows, object storage."""

    location: str
    config: Mapping[str, Any]
    roots: Roots
    objects: Objects


CONNECTORS: Mapping[SourceKind, Callable[[SourceSettings], Connector]] = {
    SourceKind.DIRECTORY: lambda source: DirectoryConnector(source.location, source.config, source.roots),
    SourceKind.UPLOAD: lambda source: UploadConnector(source.objects),
}
