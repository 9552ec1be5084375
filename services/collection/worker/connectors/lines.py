"""A JSON lines file of ``_id``, ``title``, ``text``: each line is a document."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

from services.collection.locators import LineLocator
from services.collection.tables import Reason
from services.collection.worker.connectors.entries import Entry
from services.collection.worker.connectors.files import Files

_LINE_BYTES = 16 * 1024 * 1024
_KEY_CHARACTERS = 200


def entries(files: Files, file: Entry) -> Iterator[Entry]:
    """Yield an entry for each line of a file, or the file itself if its first line has another form; raises OSError.

    A later line of another form is listed as refused. One line is in memory at a time.
    """
    with _opened(files, file.locator["path"]) as opened:
        if _record(opened.readline(_LINE_BYTES)) is None:
            yield file
            return
        opened.seek(0)
        for number, (offset, line) in enumerate(_lines(opened), 1):
            if not line.strip():
                continue
            record = _record(line)
            if record is None:
                name = f"line-{number}"
                refusal = (Reason.CORRUPT, "the line is too long, or not a JSON object with _id and text")
                yield replace(
                    file, uri=f"{file.uri}#{name}", path=f"{file.path}#{name}", name=name, size_bytes=0, locator={}, refusal=refusal
                )
                continue
            key, title, text = record
            content = text.encode()
            locator: LineLocator = {"kind": "line", "path": file.locator["path"], "offset": offset, "length": len(line), "key": key}
            digest = hashlib.sha256(content).hexdigest()
            yield Entry(f"{file.uri}#{key}", f"{file.path}#{key}", title or key, len(content), file.modify_time, locator, digest)


def text(files: Files, locator: Mapping[str, Any]) -> str:
    """Return the text of an entry listed earlier; raises OSError, or ValueError if the file has changed since."""
    with _opened(files, locator["path"]) as file:
        file.seek(locator["offset"])
        record = _record(file.read(locator["length"]))
    if record is None or record[0] != locator["key"]:
        raise ValueError("the file has changed since it was listed")
    return record[2]


@contextmanager
def _opened(files: Files, path: str) -> Iterator[BinaryIO]:
    with files.reading(path) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        yield file


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their offsets; of one that is too long only the beginning."""
    offset = 0
    while line := file.readline(_LINE_BYTES):
        yield offset, line
        offset += len(line)
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(_LINE_BYTES)
            offset += len(rest)


def _record(line: bytes) -> tuple[str, str, str] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or "_id" not in record or not isinstance(record.get("text"), str):
        return None
    title, text = _clean(str(record.get("title") or "")).strip(), _clean(record["text"])
    whole = f"{title} {text}" if title and not text.startswith(title) else text
    return _clean(str(record["_id"]))[:_KEY_CHARACTERS], title[:_KEY_CHARACTERS], whole


def _clean(text: str) -> str:
    """Replace what JSON can spell but no database keeps: NUL and halves of surrogate pairs."""
    return text.replace("\x00", " ").encode("utf-8", "replace").decode()
