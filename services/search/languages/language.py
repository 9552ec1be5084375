"""A language as the text index knows it: its stemmer and its stopwords."""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import snowballstemmer

from services.search.languages.stopwords import STOPWORDS

_ENGLISH_PREFIX = 2
_CODES = {
    "en": "english",
    "da": "danish",
    "de": "german",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "hu": "hungarian",
    "it": "italian",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}


@dataclass(frozen=True)
class Language:
    """``code`` is the language's in BCP 47, ``name`` is what Snowball and Qdrant call it.

    The stemmer is the engine's, in the version of Snowball that it has; the stopwords are given to the engine but for English, whose
    list it has by itself. A test compares both.
    """

    code: str
    name: str

    @cached_property
    def stopwords(self) -> frozenset[str]:
        return frozenset(STOPWORDS[self.name].split())

    def is_stopword(self, word: str) -> bool:
        return word.lower() in self.stopwords

    def stem(self, word: str) -> str:
        """Return the stem of a lowercase word."""
        return _stem(self.name, word)

    def prefix(self, word: str) -> str:
        """Return what lowercase words of one stem begin with: a letter without its accents; of English, two letters.

        The exceptions of English are "dying", "lying" and "tying".
        """
        if self is ENGLISH:
            return word[:_ENGLISH_PREFIX].replace("y", "i")
        return unicodedata.normalize("NFD", word[:1])[:1]


ENGLISH = Language("en", "english")
LANGUAGES: Mapping[str, Language] = {code: ENGLISH if code == "en" else Language(code, name) for code, name in _CODES.items()}


def language_of(code: str) -> Language:
    """Return the language in which texts of this code are indexed: English where there is no stemmer, or none is known."""
    return LANGUAGES.get(code.partition("-")[0].lower(), ENGLISH)


def common(languages: Iterable[Language]) -> Language:
    """Return the language of all, English where they differ."""
    found = set(languages)
    return found.pop() if len(found) == 1 else ENGLISH


@lru_cache(maxsize=50_000)
def _stem(name: str, word: str) -> str:
    return str(_stemmer(name).stemWord(word))


@lru_cache
def _stemmer(name: str) -> snowballstemmer.stemmer:
    return snowballstemmer.stemmer(name)
