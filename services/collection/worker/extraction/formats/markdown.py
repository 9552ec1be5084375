"""Markdown: its text as it is, its headings and listings; reads every line once, whatever the text."""

from collections.abc import Iterator

from services.collection.landmarks import Landmarks
from services.collection.worker.extraction.extracted import Extracted
from services.collection.worker.extraction.formats.plain import decode

_FENCES = ("```", "~~~")
_HEADING_CHARACTERS = 200
_UNDERLINES = ({"="}, {"-"})


def extract(content: bytes, mime_type: str) -> Extracted:
    text = decode(content)
    return Extracted(text, mime_type, landmarks(text))


def landmarks(text: str) -> Landmarks:
    """Return the headings (``#`` and underlined) of a Markdown text, and its fenced listings."""
    headings: list[tuple[int, str]] = []
    blocks: list[tuple[int, int]] = []
    fence, opened = "", 0
    before, before_start = "", 0
    for start, line in _lines(text):
        mark = line.lstrip(" ")[:3]
        if fence:
            if mark == fence:
                blocks.append((opened, start + len(line)))
                fence = ""
            continue
        if mark in _FENCES:
            fence, opened = mark, start
        elif title := _title(line):
            headings.append((start, title))
        elif before.strip() and len(line.strip()) > 1 and set(line.strip()) in _UNDERLINES:
            headings.append((before_start, before.strip()[:_HEADING_CHARACTERS]))
        before, before_start = ("" if fence else line), start
    if fence:
        blocks.append((opened, len(text)))
    return Landmarks(headings=headings, breaks=[start for start, _ in headings], blocks=blocks)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in text.split("\n"):
        yield start, line
        start += len(line) + 1


def _title(line: str) -> str:
    stripped = line.lstrip(" ")
    text = stripped.lstrip("#")
    level = len(stripped) - len(text)
    if len(line) - len(stripped) > 3 or not 1 <= level <= 6 or text[:1] not in (" ", "\t"):
        return ""
    return text.strip()[:_HEADING_CHARACTERS].rstrip("#").rstrip()
