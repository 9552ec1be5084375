"""Lists a directory, or a single file. A JSON-lines file of ``_id``, ``title``, ``text`` lists one entry a line."""

import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from services.collection.worker.connectors.entries import Entry

# Never what somebody means by "my documents".
_IGNORED = {"node_modules", "__pycache__", "site-packages", "venv"}


class UnreadableSourceError(Exception):
    """The source as a whole cannot be read; the message says why."""


def entries(location: str, options: dict[str, Any]) -> Iterator[Entry]:
    """Yield what is at ``location``, in the order of paths; raises UnreadableSourceError.

    Symbolic links that lead out of the location, devices, pipes and sockets are listed as refused, never opened.
    """
    root = Path(location)
    try:
        status = root.stat()
    except OSError as error:
        raise UnreadableSourceError(f"the source cannot be read: {error.strerror}") from error
    if stat.S_ISREG(status.st_mode):
        yield from _file(root, root, root.name)
        return
    yield from _directory(root, "", options)


def _directory(root: Path, below: str, options: dict[str, Any]) -> Iterator[Entry]:
    try:
        found = sorted(os.scandir(root / below), key=lambda each: each.name)
    except OSError as error:
        if not below:
            raise UnreadableSourceError(f"the source cannot be read: {error.strerror}") from error
        return
    for each in found:
        path = f"{below}/{each.name}" if below else each.name
        if each.name in _IGNORED or (each.name.startswith(".") and not options.get("hidden")) or not _encodable(path):
            continue
        if each.is_dir(follow_symlinks=False):
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
        moment = datetime.fromtimestamp(status.st_mtime, UTC)
        lines = list(_lines(resolved, path, moment)) if file.suffix == ".jsonl" else []
        if lines:
            yield from lines
        else:
            yield Entry(
                resolved.as_uri() if resolved == file else file.as_uri(), path, file.name, status.st_size, moment, {"file": str(file)}
            )


def _lines(file: Path, path: str, moment: datetime) -> Iterator[Entry]:
    """Yield the entries of a JSON-lines file; nothing if it is not of this form."""
    offset = 0
    with file.open("rb") as lines:
        for line in lines:
            length = len(line)
            parsed = _record(line)
            if parsed is None:
                if offset == 0:
                    return
            else:
                key, title, text = parsed
                content = {"file": str(file), "offset": offset, "length": length}
                inline = text.encode("utf-8", "replace")
                uri = f"{file.as_uri()}#{key}"
                yield Entry(uri, f"{path}#{key}", title or key, len(inline), moment, content, inline)
            offset += length


def _record(line: bytes) -> tuple[str, str, str] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or "_id" not in record or not isinstance(record.get("text"), str):
        return None
    title, text = str(record.get("title") or "").strip(), record["text"]
    whole = f"{title} {text}" if title and not text.startswith(title) else text
    return str(record["_id"])[:200], title[:200], whole


def line_text(content: dict[str, Any]) -> str:
    """Return the text of a JSON-lines entry listed earlier; raises OSError or ValueError if the file has changed."""
    with Path(content["file"]).open("rb") as file:
        file.seek(content["offset"])
        parsed = _record(file.read(content["length"]))
    if parsed is None:
        raise ValueError("the file has changed since it was listed")
    return parsed[2]


def _refused(file: Path, path: str, reason: str, message: str) -> Entry:
    return Entry(Path(os.path.abspath(file)).as_uri(), path, file.name, 0, datetime.fromtimestamp(0, UTC), refusal=(reason, message))  # noqa: PTH100 - resolve() would follow the link


def _wanted(path: str, options: dict[str, Any]) -> bool:
    included = options.get("include")
    return (not included or _matches(path, included)) and not _matches(path, options.get("exclude"))


def _matches(path: str, globs: list[str] | None) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatchcase(path, glob) or fnmatchcase(name, glob) for glob in globs or ())


def _encodable(path: str) -> bool:
    """Tell whether a name is text; one that is not cannot be shown, so it is left out."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
