"""Cuts a text into chunks of whole tokens, at the strongest boundary each chunk's window offers.

Every gap between two tokens has a strength: section, paragraph, line, sentence, word, or none. A chunk ends at the latest
of the strongest gaps in the second half of its window, or at a section's end even in the second quarter; the next one
begins up to ``overlap`` tokens earlier, at a word of the same section.
"""

import re
from bisect import bisect_right

from services.collection.chunking.chunk import Chunk, ChunkInput
from services.collection.chunking.settings import ChunkSettings
from services.collection.chunking.tokens import TokenSpans
from services.collection.landmarks import Landmarks

_SECTION, _PARAGRAPH, _LINE, _SENTENCE, _WORD, _NONE = 5, 4, 3, 2, 1, 0
# Latin and CJK stops.
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]['\")\]\u00bb\u201d]*$")
_CHUNK_CHARACTERS = 16_000
_TAIL_CHARACTERS = 1_000


def chunks(source: ChunkInput, settings: ChunkSettings) -> list[Chunk]:
    """Return chunks of at most ``settings.size`` tokens.

    Everything but blanks is in at least one chunk, unless the text has no token at all: then there are none.
    """
    text, spans, landmarks = source.text, source.spans, source.landmarks
    result: list[Chunk] = []
    for first, last in _windows(text, spans, landmarks, settings):
        start, end = _start(text, spans, first), _end(text, spans, last)
        result.append(Chunk(len(result), text[start:end], start, end, last - first, landmarks.page(start), landmarks.section(start)))
    return result


def _windows(text: str, spans: TokenSpans, landmarks: Landmarks, settings: ChunkSettings) -> list[tuple[int, int]]:
    """Return the token ranges of the chunks."""
    count = len(spans)
    windows: list[tuple[int, int]] = []
    strengths = bytearray()
    first = 0
    while first < count:
        limit = min(first + settings.size, count)
        limit = max(first + 1, bisect_right(spans.ends, spans.starts[first] + _CHUNK_CHARACTERS, first, limit))
        if limit == count:
            windows.append((first, count))
            break
        # A text of one chunk, as most short passages are, never asks for them.
        strengths = strengths or _strengths(text, spans, landmarks)
        half = first + max(1, (limit - first) // 2)
        last = max(range(half, limit + 1), key=lambda gap: (strengths[gap], gap))
        if strengths[last] < _SECTION:
            section = strengths.rfind(_SECTION, first + max(1, (limit - first) // 4), half)
            last = section if section > 0 else last
        windows.append((first, last))
        if strengths[last] == _SECTION:
            first = last
        else:
            # Begin the next one at a word, and always later than this one.
            first = next((gap for gap in range(max(first + 1, last - settings.overlap), last) if strengths[gap] > _NONE), last)
    return windows


def _strengths(text: str, spans: TokenSpans, landmarks: Landmarks) -> bytearray:
    """Return the strength of the gap before each token."""
    strengths = bytearray(len(spans))
    for gap in range(1, len(spans)):
        before, start = spans.ends[gap - 1], spans.starts[gap]
        if before < start:
            strengths[gap] = _strength(text, before, start)
    for offset in landmarks.breaks:
        gap = bisect_right(spans.ends, offset)
        if 0 < gap < len(strengths) and strengths[gap] > _NONE:
            strengths[gap] = _SECTION
    for begin, end in landmarks.blocks:
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


def _start(text: str, spans: TokenSpans, first: int) -> int:
    """Return where a chunk begins: at its first token, the very first chunk at what the tokenizer dropped before."""
    start = spans.starts[first]
    if first:
        return start
    dropped = text[max(0, start - _TAIL_CHARACTERS) : start].lstrip()
    return start - len(dropped)


def _end(text: str, spans: TokenSpans, last: int) -> int:
    """Return where a chunk ends: behind its last token and what the tokenizer dropped before the next."""
    end = spans.ends[last - 1]
    following = spans.starts[last] if last < len(spans) else len(text)
    return end + len(text[end : min(following, end + _TAIL_CHARACTERS)].rstrip())
