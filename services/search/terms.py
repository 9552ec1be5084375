"""The words of a query that say something, and which of them a hit has."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from semantik.search.v1.search_service_pb2 import Hit
from services.search.languages.language import ENGLISH, Language
from services.search.words import Marks, compound_parts, words


class Terms:
    """The query's words without stopwords, each once. Words of one stem are one; a compound is also all of its parts."""

    def __init__(self, query: str, language: Language = ENGLISH) -> None:
        self._language = language
        self._marks = Marks(query, language)
        self._stems: dict[str, frozenset[str]] = {}
        self.words: dict[str, str] = {}
        for match in words(query):
            word = match.group()
            if not language.is_stopword(word):
                root = language.stem(word.lower())
                self.words.setdefault(root, word)
                self._stems[root] = frozenset(language.stem(part.lower()) for part in compound_parts(word))

    def of(self, hit: Hit) -> list[str]:
        """Return the terms that a hit has in its text, as it is highlighted, in its heading, its name or its path."""
        found = set(self._found(hit))
        return [word for root, word in self.words.items() if root in found or (self._stems[root] and self._stems[root] <= found)]

    def _found(self, hit: Hit) -> Iterator[str]:
        text = hit.text
        for mark in hit.highlights:
            yield from _stems(self._language, text[mark.start : mark.end])
        for name in dict.fromkeys((hit.section, hit.name, hit.path)):
            for match in words(name):
                for start, end in self._marks[match.group()]:
                    yield from _stems(self._language, match.group()[start:end])


@lru_cache(maxsize=50_000)
def _stems(language: Language, word: str) -> Sequence[str]:
    return tuple(language.stem(part.lower()) for part in (word, *compound_parts(word)))
