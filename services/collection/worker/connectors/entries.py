"""What a connector lists: one entry for each document it sees."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """A document as its source shows it.

    ``content`` finds it again, ``sha256`` is known where listing it meant reading it, ``refusal`` (reason, message) is why
    it must not be read.
    """

    uri: str
    path: str
    name: str
    size_bytes: int
    modify_time: datetime
    content: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    refusal: tuple[str, str] | None = None


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading; raises OSError for anything else, and never waits for a pipe or follows a link."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no regular file")
        yield file


def entry_sha256(entry: Entry) -> str:
    """Return the digest of an entry's bytes; raises OSError."""
    if entry.sha256:
        return entry.sha256
    digest = hashlib.sha256()
    with opened(Path(entry.content["file"])) as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
