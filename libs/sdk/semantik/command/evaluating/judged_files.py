"""Reads judged queries from files in the layout of BEIR: ``queries.jsonl``, and ``qrels.tsv`` or ``qrels/test.tsv``."""

import json
from collections import defaultdict
from pathlib import Path

_JUDGEMENTS = ("qrels.tsv", "qrels/test.tsv")


class JudgedFilesError(Exception):
    """The files are not there, or not in this layout; the text says which line."""


def queries(folder: Path) -> dict[str, str]:
    """Return the queries' texts by id."""
    found = {}
    for number, line in _lines(folder / "queries.jsonl"):
        try:
            query = json.loads(line)
            found[str(query["_id"])] = str(query["text"])
        except (ValueError, KeyError, TypeError):
            raise JudgedFilesError(f"queries.jsonl, line {number}: not an object with `_id` and `text`") from None
    return found


def judgements(folder: Path) -> dict[str, dict[str, int]]:
    """Return the grades of documents by query; a line is query, document and grade, with tabs between, after a line of names."""
    file = next((name for name in _JUDGEMENTS if (folder / name).exists()), None)
    if file is None:
        raise JudgedFilesError(f"{folder} has neither {' nor '.join(_JUDGEMENTS)}")
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for number, line in _lines(folder / file):
        parts = line.rstrip("\n").split("\t")
        if number == 1 and not parts[-1].lstrip("-").isdecimal():
            continue
        try:
            query, document, grade = parts
            # Some sets grade spam below 0.
            found[query][document] = max(0, int(grade))
        except ValueError:
            raise JudgedFilesError(f"{file}, line {number}: not a query, a document and a whole number, with tabs between") from None
    return found


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise JudgedFilesError(f"{path} cannot be read: {error}") from error
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
