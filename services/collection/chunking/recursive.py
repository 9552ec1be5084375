"""Cuts a text into chunks of whole tokens, at the strongest boundary each chunk's window offers.

Every gap between two tokens has a strength: section, paragraph, line, sentence, word, or none. A chunk ends at the latest
of the strongest gaps in the second half of its window, or at a section's end even in the second quarter; the next one
begins up to ``overlap`` tokens earlier, at a word of the same section.
"""

import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

from tokenizers import Tokenizer

from services.collection.chunking.landmarks import Landmarks
from services.collection.chunking.settings import ChunkSettings

_SECTION, _PARAGRAPH, _LINE, _SENTENCE, _WORD, _NONE = 5, 4, 3, 2, 1, 0
# Latin and CJK stops.
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]['\")\]\u00bb\u201d]*$")
# What one call of the tokenizer reads: its answer takes a hundred times the memory of its text.
_PIECE_CHARACTERS = 200_000
# A word this long is one unknown token to the model: it is counted, and may be cut, in parts.
_WORD_CHARACTERS = 256
_CHUNK_CHARACTERS = 16_000
_TAIL_CHARACTERS = 1_000


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
class _Spans:
    """Where tokens stand in the text. Arrays: a long text has millions of them."""

    starts: "array[int]" = field(default_factory=lambda: array("Q"))
    ends: "array[int]" = field(default_factory=lambda: array("Q"))

    def add(self, start: int, end: int) -> None:
        parts = -(-(end - start) // _WORD_CHARACTERS)
        for part in range(parts):
            self.starts.append(start + (end - start) * part // parts)
            self.ends.append(start + (end - start) * (part + 1) // parts)


def chunks(text: str, tokenizer: Tokenizer, settings: ChunkSettings, landmarks: Landmarks | None = None) -> list[Chunk]:
    """Cut ``text`` into chunks of at most ``settings.size`` tokens; one pass of the tokenizer serves them all.

    ``tokenizer`` must neither truncate nor pad. Everything but blanks is in at least one chunk, unless the tokenizer sees
    no token in the whole text: then there are none.
    """
    marks = landmarks or Landmarks()
    spans = _tokens(text, tokenizer)
    made: list[Chunk] = []
    for first, last in _windows(spans, _strengths(text, spans, marks), settings.size, settings.overlap):
        start, end = _start(text, spans, first), _end(text, spans, last)
        made.append(Chunk(len(made), text[start:end], start, end, last - first, marks.page(start), marks.section(start)))
    return made


def _tokens(text: str, tokenizer: Tokenizer) -> _Spans:
    spans = _Spans()
    position = 0
    while position < len(text):
        end = _piece_end(text, position)
        for start, stop in tokenizer.encode(text[position:end], add_special_tokens=False).offsets:
            if stop > start:
                spans.add(position + start, position + stop)
        position = end
    return spans


def _piece_end(text: str, position: int) -> int:
    """Return where to stop reading: before a blank, so that no word is torn."""
    limit = position + _PIECE_CHARACTERS
    if limit >= len(text):
        return len(text)
    blank = max(text.rfind(" ", position + 1, limit), text.rfind("\n", position + 1, limit))
    return blank if blank > 0 else limit


def _windows(spans: _Spans, strengths: bytearray, size: int, overlap: int) -> list[tuple[int, int]]:
    """Return the token ranges of the chunks."""
    count = len(spans.starts)
    windows: list[tuple[int, int]] = []
    first = 0
    while first < count:
        limit = min(first + size, count)
        limit = max(first + 1, bisect_right(spans.ends, spans.starts[first] + _CHUNK_CHARACTERS, first, limit))
        if limit == count:
            windows.append((first, count))
            break
        half = first + max(1, (limit - first) // 2)
        last = max(range(half, limit + 1), key=lambda gap: (strengths[gap], gap))
        if strengths[last] < _SECTION:
            section = strengths.rfind(_SECTION, first + max(1, (limit - first) // 4), half)
            last = section if section > 0 else last
        windows.append((first, last))
        if strengths[last] == _SECTION:
            first = last
        else:
            # Begin again at a word, and always move on.
            first = next((gap for gap in range(max(first + 1, last - overlap), last) if strengths[gap] > _NONE), last)
    return windows


def _strengths(text: str, spans: _Spans, marks: Landmarks) -> bytearray:
    """Return the strength of the gap before each token."""
    strengths = bytearray(len(spans.starts))
    for gap in range(1, len(spans.starts)):
        before, start = spans.ends[gap - 1], spans.starts[gap]
        if before < start:
            strengths[gap] = _strength(text, before, start)
    for offset in marks.breaks:
        gap = bisect_right(spans.ends, offset)
        if 0 < gap < len(strengths) and strengths[gap] > _NONE:
            strengths[gap] = _SECTION
    for begin, end in marks.blocks:
        for gap in range(bisect_right(spans.starts, begin), bisect_right(spans.starts, end - 1)):
            strengths[gap] = min(strengths[gap], _LINE)
    return strengths


def _strength(text: str, before: int, start: int) -> int:
    lines = text.count("\n", before, start)
    if lines:
        return _PARAGRAPH if lines > 1 else _LINE
    if not text[before].isspace():
        return _NONE
    return _SENTENCE if _SENTENCE_END.search(text, max(0, before - 4), before) else _WORD


def _start(text: str, spans: _Spans, first: int) -> int:
    """Return where a chunk begins: at its first token, the very first chunk at what the tokenizer dropped before."""
    start = spans.starts[first]
    if first:
        return start
    dropped = text[max(0, start - _TAIL_CHARACTERS) : start].lstrip()
    return start - len(dropped)


def _end(text: str, spans: _Spans, last: int) -> int:
    """Return where a chunk ends: behind its last token and what the tokenizer dropped before the next."""
    end = spans.ends[last - 1]
    following = spans.starts[last] if last < len(spans.starts) else len(text)
    return end + len(text[end : min(following, end + _TAIL_CHARACTERS)].rstrip())
