"""Finds headings, sections and listings in plain text; reads every line once, whatever the text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCES = ("```", "~~~")
_HEADING_CHARACTERS = 200
_RULES = {"=", "-"}
# A line that begins at the margin after a blank one: a definition, a class, a block of statements.
_TOP_LEVEL = re.compile(r"\n[ \t]*\n(?=[^\s)\]}])")


@dataclass
class Structure:
    """Offsets in characters: where headings stand, where sections begin, what listings cover."""

    headings: list[tuple[int, str]] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)


def markdown(text: str) -> Structure:
    """Return the headings (``#`` and underlined) of a Markdown text, and its fenced listings."""
    found = Structure()
    fence, opened = "", 0
    before, before_start = "", 0
    for start, line in _lines(text):
        mark = line.lstrip(" ")[:3]
        if fence:
            if mark == fence:
                found.blocks.append((opened, start + len(line)))
                fence = ""
            continue
        if mark in _FENCES:
            fence, opened = mark, start
        elif title := _title(line):
            found.headings.append((start, title))
        elif before.strip() and len(line.strip()) > 1 and set(line.strip()) in ({rule} for rule in _RULES):
            found.headings.append((before_start, before.strip()[:_HEADING_CHARACTERS]))
        before, before_start = ("" if fence else line), start
    if fence:
        found.blocks.append((opened, len(text)))
    found.breaks = [start for start, _ in found.headings]
    return found


def code(text: str) -> Structure:
    """Return where top-level definitions of a program begin."""
    return Structure(breaks=[match.end() for match in _TOP_LEVEL.finditer(text)])


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
