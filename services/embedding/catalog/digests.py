"""SHA-256 of files."""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """Return a file's SHA-256 in hex; reads all of it, so call it on a thread that may wait."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
