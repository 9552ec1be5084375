"""Opens files below a source's root, one folder at a time, through no symbolic link."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Passing through a folder needs no right to list it, where the system knows the difference.
_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Never waits for the writer of a pipe.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def open_folder(root: Path, path: str) -> int:
    """Open a folder for listing; raises OSError, also where a part of the way is a link by now."""
    return _opened(root, path, _FOLDER)


def open_file(root: Path, path: str) -> int:
    """Open a regular file for reading; raises OSError for anything else, and where a part of the way is a link by now."""
    descriptor = _opened(root, path, _FILE)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError("it is not a regular file")


@contextmanager
def reading(root: Path, path: str) -> Iterator[int]:
    """Open a regular file as ``open_file`` does, and close it."""
    descriptor = open_file(root, path)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(root: Path, path: str, flags: int) -> int:
    """Walk from the root directory: a link that takes the place of any folder on the way is refused, not followed."""
    *folders, name = [part for part in (*root.parts[1:], *path.split("/")) if part] or ["."]
    at = os.open("/", _THROUGH)
    try:
        for folder in folders:
            below = os.open(folder, _THROUGH, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, flags, dir_fd=at)
    finally:
        os.close(at)
