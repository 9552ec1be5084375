"""A JSON-lines file of ``_id``, ``title``, ``text``: each line is a document."""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from services.collection.worker.connectors.entries import Entry, opened

_LINE_BYTES = 16 * 1024 * 1024
_KEY_CHARACTERS = 200


def is_listing(file: Path) -> bool:
    """Tell whether the first line is of this form; raises OSError."""
    with opened(file) as lines:
        return _record(lines.readline(_LINE_BYTES)) is not None


def entries(file: Path, path: str, moment: datetime) -> Iterator[Entry]:
    """Yield an entry for each line; a line of another form is listed as refused. One line is in memory at a time."""
    with opened(file) as lines:
        for number, (offset, line) in enumerate(_lines(lines), 1):
            if not line.strip():
                continue
            record = _record(line)
            if record is None:
                where = f"{path}#line-{number}"
                refusal = ("CORRUPT", "the line is too long, or no object with _id and text")
                yield Entry(f"{file.as_uri()}#line-{number}", where, where.rpartition("/")[2], 0, moment, refusal=refusal)
                continue
            key, title, text = record
            content = {"file": str(file), "offset": offset, "length": len(line), "key": key}
            read = text.encode()
            digest = hashlib.sha256(read).hexdigest()
            yield Entry(f"{file.as_uri()}#{key}", f"{path}#{key}", title or key, len(read), moment, content, digest)


def text(content: dict[str, Any]) -> str:
    """Return the text of an entry listed earlier; raises OSError, or ValueError if the file has changed since."""
    with opened(Path(content["file"])) as file:
        file.seek(content["offset"])
        record = _record(file.read(content["length"]))
    if record is None or record[0] != content["key"]:
        raise ValueError("the file has changed since it was listed")
    return record[2]


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
