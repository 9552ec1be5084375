"""Beginnings of words in a text, whatever the case, the accents and the signs between words."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

# Nobody asks for a text that is longer.
MOST_CHARACTERS = 256
# Marks above and below a letter; what comes before them in Unicode's order are vowels and the like, which make another word.
_LEAST_ACCENT = 200
_BLANKS = str.maketrans(dict.fromkeys("-_./\\", " "))
_BEGINNING = re.compile(r"\b\w")


class Folded(NamedTuple):
    """A folded text, and for each of its characters the position of the one it comes from."""

    text: str
    origins: Sequence[int]


def folded(text: str) -> Folded:
    """Return a text without case and accents, every run of blanks, hyphens, underscores, dots and slashes as one blank."""
    if text.isascii():
        plain = text.lower().translate(_BLANKS)
        if plain.isprintable() and "  " not in plain and not plain.startswith(" "):
            return Folded(plain, range(len(plain)))
    characters: list[str] = []
    origins: list[int] = []
    for position, character in enumerate(text):
        for part in _folded_character(character):
            if part != " " or (characters and characters[-1] != " "):
                characters.append(part)
                origins.append(position)
    return Folded("".join(characters), origins)


def matched(text: str, prefix: str) -> tuple[int, int] | None:
    """Return where a word of a text begins that a folded prefix is the beginning of, and where the prefix ends, in characters."""
    whole = folded(text)
    place = whole.text.find(prefix) if prefix else -1
    while place > 0 and not _is_beginning(whole, place):
        place = whole.text.find(prefix, place + 1)
    if place < 0:
        return None
    end = whole.origins[place + len(prefix) - 1] + 1
    while end < len(text) and unicodedata.combining(text[end]) >= _LEAST_ACCENT:
        end += 1
    return whole.origins[place], end


def _is_beginning(whole: Folded, place: int) -> bool:
    """Return whether a text, or a word of it, begins here, and no part of a character that stands for several."""
    return place == 0 or (bool(_BEGINNING.match(whole.text, place)) and whole.origins[place] != whole.origins[place - 1])


@lru_cache(maxsize=4096)
def _folded_character(character: str) -> str:
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return "".join(" " if part.isspace() else part.translate(_BLANKS) for part in parts if unicodedata.combining(part) < _LEAST_ACCENT)
