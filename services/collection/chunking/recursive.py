"""Cuts a text into chunks of whole tokens, at the strongest boundary each chunk's window offers.

Every gap between two tokens has a strength: paragraph, line, sentence, word, or none. A chunk ends at the latest of the
strongest gaps in the second half of its window; the next one begins up to ``overlap`` tokens earlier, at a word.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tokenizers import Tokenizer

from services.collection.chunking.settings import ChunkSettings

_PARAGRAPH, _LINE, _SENTENCE, _WORD, _NONE = 4, 3, 2, 1, 0
# Latin and CJK stops.
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]['\")\]\u00bb\u201d]*\s*$")
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True)
class Chunk:
    """A passage: ``text`` is ``source[start:end]`` in characters; ``token_count`` leaves special tokens out."""

    ordinal: int
    text: str
    start: int
    end: int
    token_count: int
    page: int
    section: str


@dataclass(frozen=True)
class Landmarks:
    """Where pages begin, and which headings stand where, in characters of the text."""

    pages: Sequence[int] = ()
    headings: Sequence[tuple[int, str]] = ()

    def page(self, offset: int) -> int:
        """Return the number of the page at ``offset``, from 1; 0 where there are none."""
        return bisect_right(self.pages, offset)

    def section(self, offset: int) -> str:
        found = bisect_right([start for start, _ in self.headings], offset)
        return self.headings[found - 1][1] if found else ""


def markdown_headings(text: str) -> list[tuple[int, str]]:
    """Return where the headings of a Markdown text stand."""
    return [(match.start(), match.group(2)[:200]) for match in _HEADING.finditer(text)]


def chunks(text: str, tokenizer: Tokenizer, settings: ChunkSettings, landmarks: Landmarks | None = None) -> list[Chunk]:
    """Cut ``text`` into chunks of at most ``settings.size`` tokens; one pass of the tokenizer serves them all.

    ``tokenizer`` must neither truncate nor pad. Every token is in at least one chunk; a blank text has none.
    """
    marks = landmarks or Landmarks()
    spans = [span for span in tokenizer.encode(text, add_special_tokens=False).offsets if span[1] > span[0]]
    made: list[Chunk] = []
    for first, last in _windows(text, spans, settings.size, settings.overlap):
        start, end = spans[first][0], spans[last - 1][1]
        made.append(Chunk(len(made), text[start:end], start, end, last - first, marks.page(start), marks.section(start)))
    return made


def _windows(text: str, spans: Sequence[tuple[int, int]], size: int, overlap: int) -> list[tuple[int, int]]:
    """Return the token ranges of the chunks."""
    strengths = _strengths(text, spans)
    windows: list[tuple[int, int]] = []
    first = 0
    while first < len(spans):
        limit = first + size
        if limit >= len(spans):
            windows.append((first, len(spans)))
            break
        last = max(range(first + max(1, size // 2), limit + 1), key=lambda gap: (strengths[gap], gap))
        windows.append((first, last))
        # Begin again at a word, and always move on.
        first = next((gap for gap in range(max(first + 1, last - overlap), last) if strengths[gap] > _NONE), last)
    return windows


def _strengths(text: str, spans: Sequence[tuple[int, int]]) -> list[int]:
    """Return the strength of the gap before each token."""
    strengths = [_PARAGRAPH]
    for (before_start, before_end), (start, _) in pairwise(spans):
        between = text[before_end:start]
        if not between:
            strengths.append(_NONE)
        elif between.count("\n") > 1:
            strengths.append(_PARAGRAPH)
        elif "\n" in between:
            strengths.append(_LINE)
        elif _SENTENCE_END.search(text[before_start:before_end]):
            strengths.append(_SENTENCE)
        else:
            strengths.append(_WORD)
    return strengths
