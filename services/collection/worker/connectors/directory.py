"""Lists a directory, or a single file."""

import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from services.collection.worker.connectors import lines
from services.collection.worker.connectors.entries import Entry

# Never what somebody means by "my documents".
_IGNORED = {"node_modules", "__pycache__", "site-packages", "venv"}
_KERNEL = (Path("/proc"), Path("/sys"), Path("/dev"))
_EPOCH = datetime.fromtimestamp(0, UTC)


class UnreadableSourceError(Exception):
    """The source as a whole cannot be read; the message says why."""


def entries(location: str, options: dict[str, Any], roots: Sequence[Path]) -> Iterator[Entry]:
    """Yield what is at ``location``, in the order of paths; raises UnreadableSourceError.

    Nothing outside ``location``, or above the allowed ``roots``, is opened: symbolic links that lead out, devices, pipes,
    sockets and the kernel's file systems are listed as refused.
    """
    try:
        root = Path(location).resolve(strict=True)
        status = root.stat()
    except OSError as error:
        raise UnreadableSourceError(f"the source cannot be read: {error.strerror}") from error
    # It was allowed when it was added; a link may lead elsewhere by now.
    if not any(root.is_relative_to(each) for each in roots):
        raise UnreadableSourceError("the source is outside the directories this installation allows")
    if stat.S_ISREG(status.st_mode):
        yield from _file(root, root, root.name)
        return
    yield from _directory(root, "", options)


def _directory(root: Path, below: str, options: dict[str, Any]) -> Iterator[Entry]:
    if any((root / below).is_relative_to(each) for each in _KERNEL):
        yield _refused(root / below, below or root.name, "UNSAFE_PATH", "it belongs to the system, not to documents")
        return
    try:
        found = sorted(os.scandir(root / below), key=lambda each: each.name)
    except OSError as error:
        if not below:
            raise UnreadableSourceError(f"the source cannot be read: {error.strerror}") from error
        yield _refused(root / below, below, "UNREADABLE", "the directory cannot be read")
        return
    for each in found:
        path = f"{below}/{each.name}" if below else each.name
        if each.name in _IGNORED or (each.name.startswith(".") and not options.get("hidden")):
            continue
        if not _is_text(path):
            shown = path.encode("utf-8", "backslashreplace").decode()
            yield _refused(Path(each.path), shown, "UNREADABLE", "its name is no text")
        elif each.is_dir(follow_symlinks=False):
            if not _matches(path, options.get("exclude")):
                yield from _directory(root, path, options)
        elif _wanted(path, options):
            yield from _file(root, Path(each.path), path)


def _file(root: Path, file: Path, path: str) -> Iterator[Entry]:
    try:
        resolved = file.resolve(strict=True)
        status = resolved.stat()
    except (OSError, RuntimeError):
        yield _refused(file, path, "UNREADABLE", "it cannot be opened")
        return
    if resolved != root and not resolved.is_relative_to(root):
        yield _refused(file, path, "UNSAFE_PATH", "it is a link that leads out of the source")
    elif stat.S_ISDIR(status.st_mode):
        yield _refused(file, path, "UNSAFE_PATH", "links to directories are not followed")
    elif not stat.S_ISREG(status.st_mode):
        yield _refused(file, path, "UNSAFE_PATH", "it is no regular file")
    else:
        yield from _regular(resolved, file, path, status)


def _regular(resolved: Path, file: Path, path: str, status: os.stat_result) -> Iterator[Entry]:
    moment = datetime.fromtimestamp(status.st_mtime, UTC)
    try:
        if file.suffix == ".jsonl" and lines.is_listing(resolved):
            yield from lines.entries(resolved, path, moment)
            return
    except OSError:
        yield _refused(file, path, "UNREADABLE", "it cannot be opened")
        return
    yield Entry(file.as_uri(), path, file.name, status.st_size, moment, {"file": str(resolved)})


def _refused(file: Path, path: str, reason: str, message: str) -> Entry:
    return Entry(file.as_uri(), path, path.rpartition("/")[2], 0, _EPOCH, refusal=(reason, message))


def _wanted(path: str, options: dict[str, Any]) -> bool:
    included = options.get("include")
    return (not included or _matches(path, included)) and not _matches(path, options.get("exclude"))


def _matches(path: str, globs: list[str] | None) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path, glob) or fnmatchcase(name, glob) for glob in globs or ())


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
