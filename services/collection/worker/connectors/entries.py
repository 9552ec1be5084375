"""What a connector lists and reads: an entry for each document it sees, and the content of one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class UnreadableSourceError(Exception):
    """The source as a whole cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document as its source shows it.

    ``locator`` is how its connector finds the content again (see ``services.collection.locators``), ``sha256`` is known
    where listing meant reading, ``refusal`` (reason, message) is why it must not be read.
    """

    uri: str
    path: str
    name: str
    size_bytes: int
    modify_time: datetime
    locator: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    refusal: tuple[str, str] | None = None


@dataclass(frozen=True)
class KnownText:
    """Content that needs no extraction."""

    text: str
    mime_type: str = "text/plain"


@dataclass(frozen=True)
class OpenFile:
    """Content for the extraction pool: a regular file, open for reading, closed by the connector that opened it."""

    descriptor: int
    size_bytes: int


Content = KnownText | OpenFile
