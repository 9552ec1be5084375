"""What a connector lists: one entry for each document it sees."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

_READ_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """A document as its source shows it. ``content`` finds it again; ``refusal`` is why it must not be read."""

    uri: str
    path: str
    name: str
    size_bytes: int
    modify_time: datetime
    content: dict[str, Any] = field(default_factory=dict)
    inline: bytes | None = None
    refusal: tuple[str, str] | None = None


def file_sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()


def entry_sha256(entry: Entry) -> str:
    """Return the digest of an entry's bytes; raises OSError."""
    if entry.inline is not None:
        return hashlib.sha256(entry.inline).hexdigest()
    return file_sha256(Path(entry.content["file"]))
