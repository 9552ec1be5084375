"""Lists a tree of folders: one pass over each folder, one look at each file, however deep the tree."""

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from semantik.secrecy import is_secret_folder, is_secret_path
from semantik.selection import MARK_BYTES, MARKS, Folder, Selection, SelectionError
from services.collection.tables import Reason
from services.collection.worker.connectors import lines
from services.collection.worker.connectors.entries import Entry, UnreadableSourceError
from services.collection.worker.connectors.files import Files, OwnFileError

_KERNEL = (Path("/proc"), Path("/sys"), Path("/dev"))
_EPOCH = datetime.fromtimestamp(0, UTC)
# A unique index of the database takes no longer keys; it bounds the depth of the tree too.
_URI_BYTES = 1_500
_TOO_LONG = f"the path is longer than {_URI_BYTES} bytes"
_NOT_TEXT = "the name is not valid UTF-8"
_SECRET = "it looks like a secret; a source reads such only if it says so"  # noqa: S105 - a message
_SYSTEM = "the path belongs to the system, not to documents"


class _Item(NamedTuple):
    """A name of a folder, as one look showed it; ``mode`` is 0 where it cannot be looked at."""

    name: str
    mode: int
    size_bytes: int = 0
    modify_time: float = 0.0


class _Opened(NamedTuple):
    """A folder and what is left to be looked at in it."""

    folder: Folder
    items: Iterator[_Item]


class _RefusedFolderError(Exception):
    """A folder that is not entered; the message says why."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Tree:
    """Everything below the root of ``files``, a directory or one file.

    Nothing outside it is opened: links that lead out, devices, pipes, sockets, the kernel's file systems and the mesh's own
    directories are listed as refused.
    """

    def __init__(self, files: Files, config: Mapping[str, Any]) -> None:
        self._files = files
        self._root = root = files.root
        self._prefix = root.as_uri() if root == Path("/") else f"{root.as_uri()}/"
        self._selection = Selection.of(config)

    def entries(self) -> Iterator[Entry]:
        """Yield what the tree has, in the order of paths; raises UnreadableSourceError if its root cannot be read."""
        if any(self._root.is_relative_to(kernel) for kernel in _KERNEL):
            yield self._refused("", Reason.UNSAFE_PATH, _SYSTEM)
            return
        if not _is_text(str(self._root)):
            raise UnreadableSourceError("the source cannot be read: its path is not valid UTF-8")
        try:
            status = self._root.stat()
            opened = self._opened(self._selection.root()) if stat.S_ISDIR(status.st_mode) else None
        except OSError as error:
            raise UnreadableSourceError(f"the source cannot be read: {error.strerror}") from error
        except SelectionError as error:
            raise UnreadableSourceError(f"the source cannot be read: {error}") from error
        if opened is None:
            yield from self._file("", self._root.name, _Item(self._root.name, status.st_mode, status.st_size, status.st_mtime))
        else:
            yield from self._walk(opened)

    def _walk(self, opened: "_Opened") -> Iterator[Entry]:
        levels = [opened]
        while levels:
            folder, rest = levels[-1]
            if (item := next(rest, None)) is None:
                levels.pop()
            elif not _is_text(path := f"{folder.path}{item.name}"):
                yield self._refused(path, Reason.UNREADABLE, _NOT_TEXT)
            elif not stat.S_ISDIR(item.mode):
                if folder.takes_file(item.name):
                    yield from self._entry(path, item)
            elif (below := folder.below(item.name)) is not None:
                try:
                    if entered := self._entered(path, below):
                        levels.append(entered)
                except _RefusedFolderError as error:
                    yield self._refused(path, error.reason, str(error))

    def _entered(self, path: str, folder: Folder) -> "_Opened | None":
        if len(self._uri(path)) > _URI_BYTES:
            raise _RefusedFolderError(Reason.UNSAFE_PATH, _TOO_LONG)
        if not self._selection.secrets and is_secret_folder(path.rpartition("/")[2]):
            raise _RefusedFolderError(Reason.SECRET, _SECRET)
        if self._root / path in _KERNEL:
            raise _RefusedFolderError(Reason.UNSAFE_PATH, _SYSTEM)
        try:
            return self._opened(folder)
        except FileNotFoundError:
            return None
        except OwnFileError as error:
            raise _RefusedFolderError(Reason.UNSAFE_PATH, str(error.strerror)) from error
        except SelectionError as error:
            raise _RefusedFolderError(Reason.TOO_LARGE, f"the directory is left out: {error}") from error
        except OSError as error:
            raise _RefusedFolderError(Reason.UNREADABLE, f"the directory cannot be read: {error.strerror}") from error

    def _opened(self, folder: Folder) -> "_Opened | None":
        """Return what is to be looked at in a folder, in order; None where what lies in it says that it is left out."""
        shows = self._selection.shows
        items: list[_Item] = []
        marks: list[str] = []
        descriptor = self._files.open_folder(folder.path)
        try:
            with os.scandir(descriptor) as listing:
                for entry in listing:
                    name = entry.name
                    if name in MARKS and entry.is_file(follow_symlinks=False):
                        marks.append(name)
                    if shows(name) and (item := _item(entry)):
                        items.append(item)
        finally:
            os.close(descriptor)
        marked = folder.marked(marks, lambda name: self._beginning(folder.path + name)) if marks else folder
        if marked is None:
            return None
        items.sort()
        return _Opened(marked, iter(items))

    def _beginning(self, path: str) -> bytes:
        with self._files.reading(path) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MARK_BYTES)

    def _entry(self, path: str, item: _Item) -> Iterator[Entry]:
        if not stat.S_ISLNK(item.mode):
            yield from self._file(path, path, item)
            return
        try:
            target = (self._root / path).resolve(strict=True)
            status = target.stat()
        except (OSError, RuntimeError):
            yield self._refused(path, Reason.UNSAFE_PATH, "the symbolic link leads nowhere, or in a circle")
            return
        if not target.is_relative_to(self._root):
            yield self._refused(path, Reason.UNSAFE_PATH, "the symbolic link leads out of the source")
        elif stat.S_ISDIR(status.st_mode):
            yield self._refused(path, Reason.UNSAFE_PATH, "links to directories are not followed")
        else:
            place = str(target.relative_to(self._root))
            yield from self._file(place, path, _Item(item.name, status.st_mode, status.st_size, status.st_mtime))

    def _file(self, place: str, path: str, item: _Item) -> Iterator[Entry]:
        """Yield the file at ``place`` (without links), shown as ``path``."""
        below = path if place else ""
        uri = self._uri(below)
        if not item.mode:
            yield self._refused(below, Reason.UNREADABLE, "the file cannot be opened")
        elif not stat.S_ISREG(item.mode):
            yield self._refused(below, Reason.UNSAFE_PATH, "it is not a regular file")
        elif not self._selection.secrets and is_secret_path((*self._root.parts, *place.split("/")) if place else self._root.parts):
            yield self._refused(below, Reason.SECRET, _SECRET)
        elif len(uri) > _URI_BYTES:
            yield self._refused(below, Reason.UNSAFE_PATH, _TOO_LONG)
        elif not _is_text(place):
            yield self._refused(below, Reason.UNREADABLE, _NOT_TEXT)
        else:
            listed = Entry(uri, path, item.name, item.size_bytes, _moment(item.modify_time), {"kind": "file", "path": place})
            if not item.name.endswith(".jsonl"):
                yield listed
                return
            try:
                yield from lines.entries(self._files, listed)
            except OSError:
                yield self._refused(below, Reason.UNREADABLE, "the file cannot be read")

    def _uri(self, path: str) -> str:
        return self._prefix + quote_from_bytes(os.fsencode(path)) if path else self._root.as_uri()

    def _refused(self, path: str, reason: Reason, message: str) -> Entry:
        uri = self._uri(path)
        shown = os.fsencode(path).decode("utf-8", "backslashreplace") or self._root.name
        if len(uri) > _URI_BYTES:
            uri, shown = f"{uri[: _URI_BYTES - 65]}~{sha256(uri.encode()).hexdigest()}", shown[: _URI_BYTES // 4]
        return Entry(uri, shown, shown.rpartition("/")[2], 0, _EPOCH, refusal=(reason, message))


def _item(entry: "os.DirEntry[str]") -> _Item | None:
    """Look at a name once; None where it has gone meanwhile."""
    try:
        if entry.is_dir(follow_symlinks=False):
            return _Item(entry.name, stat.S_IFDIR)
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError:
        return _Item(entry.name, 0)
    return _Item(entry.name, status.st_mode, status.st_size, status.st_mtime)


def _moment(seconds: float) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # a file system can hold years that no calendar has
        return _EPOCH


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
