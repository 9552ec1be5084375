"""Finds the sentence of each hit that has most of the query's words, rare ones before common ones."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from semantik.search.v1.highlight_pb2 import Highlight
from semantik.search.v1.search_service_pb2 import Hit
from services.search.languages.language import Language
from services.search.words import compound_parts

# What ends a sentence: a stop, which in scripts with spaces has one behind it; an empty line; a line before an item of a list or a heading.
_STOPS = re.compile(
    r"[.!?\u2026\u061f\u06d4\u0964]+['\")\]\u00bb\u201d\u2019]*(?=\s)"
    r"|[\u3002\uff01\uff1f\uff61]+[\u300d\u300f\uff09\u201d]*"
    r"|\n(?=\s*\n|\s*(?:[-*\u2022#>|]|\d{1,3}[.)])\s)"
)
_LINE = re.compile("\n")
_NOT_BLANK = re.compile(r"\S")
# No end: a stop behind a single letter, as in initials, or before a lowercase letter, as behind abbreviations.
_INITIAL = re.compile(r"(?:^|[\s.(])[^\W\d_]\.$")
_LONG = 300


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Return where the sentences of a text begin and end, without blanks around them; one of more than 300 characters by its lines."""
    for start, end in _cut(text, 0, len(text), (match.end() for match in _STOPS.finditer(text) if _is_end(text, match))):
        if end - start <= _LONG:
            yield start, end
        else:
            yield from _cut(text, start, end, (match.end() for match in _LINE.finditer(text, start, end)))


def add_best_sentences(hits: Sequence[Hit], languages: Sequence[Language]) -> None:
    """Give each hit that has words of the query its best sentence; of equal ones the first.

    A word weighs the more the fewer sentences of all hits have it, by BM25's formula. ``languages`` are those of the hits.
    """
    found = [_with_words(hit, language) for hit, language in zip(hits, languages, strict=True)]
    frequency = Counter(word for each in found for _, words in each for word in words)
    count = sum(len(each) for each in found)
    weights = {word: math.log1p((count - number + 0.5) / (number + 0.5)) for word, number in frequency.items()}
    for hit, each in zip(hits, found, strict=True):
        if each:
            (start, end), _ = max(each, key=lambda sentence: sum(weights[word] for word in sorted(sentence[1])))
            hit.best_sentence.CopyFrom(Highlight(start=start, end=end))


def _with_words(hit: Hit, language: Language) -> list[tuple[tuple[int, int], set[str]]]:
    """Return the sentences that have highlighted words, with the stems of these."""
    marks, text, found = iter(hit.highlights), hit.text, []
    mark = next(marks, None)
    for start, end in sentences(text) if mark else ():
        words: set[str] = set()
        while mark is not None and mark.start < end:
            word = text[mark.start : mark.end]
            words.update(language.stem(part.lower()) for part in (compound_parts(word) or (word,)))
            mark = next(marks, None)
        if words:
            found.append(((start, end), words))
    return found


def _is_end(text: str, match: re.Match[str]) -> bool:
    if text[match.start()] != ".":
        return True
    following = _NOT_BLANK.search(text, match.end())
    return not (following and following[0].islower()) and not _INITIAL.search(text, max(0, match.start() - 2), match.start() + 1)


def _cut(text: str, first: int, last: int, cuts: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Return the parts of a text between cuts, without blanks around them and without empty ones."""
    for cut in (*cuts, last):
        part = text[first:cut]
        start, end = first + len(part) - len(part.lstrip()), first + len(part.rstrip())
        if start < end:
            yield start, end
        first = cut
