"""Which files of a folder are uploaded: those that a source in its place would read."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from semantik.secrecy import is_secret_folder, is_secret_path
from semantik.selection import MARK_BYTES, MARKS, Folder, Selection, SelectionError

_SECRET = "looks like a secret; --secrets takes it"  # noqa: S105 - a message
_OUTSIDE = "is a link that leads out of the folder"
_SPECIAL = "is not a regular file"


@dataclass(frozen=True)
class Listed:
    """A file by its path below the folder, with ``/`` between its parts; ``refusal`` says why it must not be read."""

    name: str
    refusal: str = ""


def listed(root: Path, selection: Selection) -> Iterator[Listed]:
    """Yield what is selected of a folder without links on its path, or the file that ``root`` is; raises OSError for the folder itself."""
    if root.is_dir():
        yield from _walk(root, selection.root())
    elif not selection.secrets and is_secret_path(root.parts):
        yield Listed(root.name, _SECRET)
    else:
        yield Listed(root.name, "" if root.is_file() else _SPECIAL)


def _walk(root: Path, folder: Folder) -> Iterator[Listed]:
    place = root / folder.path
    with os.scandir(place) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    marks = [entry.name for entry in entries if entry.name in MARKS and entry.is_file(follow_symlinks=False)]
    marked = folder.marked(marks, lambda name: _beginning(place / name))
    if marked is None:
        return
    for entry in entries:
        if not folder.selection.shows(entry.name):
            continue
        path = folder.path + entry.name
        if not entry.is_dir(follow_symlinks=False):
            if marked.takes_file(entry.name):
                yield Listed(path, _refusal(root, root / path, folder.selection))
        elif (below := marked.below(entry.name)) is not None:
            if not folder.selection.secrets and is_secret_folder(entry.name):
                yield Listed(path, _SECRET)
                continue
            try:
                yield from _walk(root, below)
            except OSError as error:
                yield Listed(path, f"cannot be read: {error.strerror}")
            except SelectionError as error:
                yield Listed(path, f"is left out: {error}")


def _refusal(root: Path, path: Path, selection: Selection) -> str:
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError):
        return "cannot be opened"
    if not target.is_relative_to(root):
        return _OUTSIDE
    if not stat.S_ISREG(status.st_mode):
        return _SPECIAL
    return _SECRET if not selection.secrets and is_secret_path(target.parts) else ""


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MARK_BYTES)
