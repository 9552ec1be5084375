"""Opens files below a source's root, one folder at a time, through no symbolic link and nothing of the mesh's own."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from services.collection.roots import Identity, Roots

# Passing through a folder needs no right to list it, where the system knows the difference.
_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Never waits for the writer of a pipe.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class OwnFileError(PermissionError):
    """What was to be opened belongs to the mesh itself."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "it belongs to Semantik itself")


class Files:
    """The files below ``root``, a path without symbolic links.

    Every folder on the way is opened by itself and compared with the mesh's own by device and inode: neither a link, nor a
    mount, nor a folder that changes places meanwhile leads out of the root or into the mesh.
    """

    def __init__(self, root: Path, roots: Roots) -> None:
        self.root = root
        self._roots = roots
        self._own = roots.own_directories()

    def open_folder(self, path: str) -> int:
        """Open a folder for listing; raises OSError, also where a part of the way is a link by now."""
        return self._opened(path, _FOLDER)

    def open_file(self, path: str) -> int:
        """Open a regular file for reading; raises OSError for anything else, and where a part of the way is a link by now."""
        descriptor = self._opened(path, _FILE)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError("it is not a regular file")
            if status.st_nlink > 1 and _identity(status) in self._own_linked_files:
                raise OwnFileError
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    @contextmanager
    def reading(self, path: str) -> Iterator[int]:
        """Open a regular file as ``open_file`` does, and close it."""
        descriptor = self.open_file(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @cached_property
    def _own_linked_files(self) -> frozenset[Identity]:
        return self._roots.own_linked_files()

    def _opened(self, path: str, flags: int) -> int:
        """Walk from the root directory: a link that takes the place of any folder on the way is refused, not followed."""
        *folders, name = [part for part in (*self.root.parts[1:], *path.split("/")) if part] or ["."]
        at = os.open("/", _THROUGH)
        try:
            for folder in folders:
                below = os.open(folder, _THROUGH, dir_fd=at)
                os.close(at)
                at = below
                self._check(at)
            last = os.open(name, flags, dir_fd=at)
        finally:
            os.close(at)
        try:
            self._check(last)
        except BaseException:
            os.close(last)
            raise
        return last

    def _check(self, descriptor: int) -> None:
        if _identity(os.fstat(descriptor)) in self._own:
            raise OwnFileError


def _identity(status: os.stat_result) -> Identity:
    return status.st_dev, status.st_ino
