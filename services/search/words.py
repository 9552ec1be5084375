"""Words as the text index sees them: runs of letters and digits, lowercased, stems, without stopwords; and compounds' parts."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice, pairwise

from services.search.languages.language import ENGLISH, Language

_WORD = re.compile(r"[^\W_]+")
_PHRASE = re.compile(r'(?<!\S)"([^"]+)"(?![^\s,.;:?!)])')
_LONG_QUESTION = 200  # characters outside of phrases
_MOST_TERMS = 200
_MOST_PAIRS = 32


def words(text: str) -> Iterator[re.Match[str]]:
    """Return the words of a text, where they stand."""
    return _WORD.finditer(text)


def parts(word: str) -> list[tuple[int, int]]:
    """Return where the parts of a compound begin and end: ``getHTTPPage`` has three. Nothing for a plain word."""
    rest = word[1:]
    if not rest or rest.islower() or rest.isupper() or rest.isdecimal():
        return []
    cuts = [place for place in range(1, len(word)) if word[place].isupper() and _begins_part(word, place)]
    return list(zip([0, *cuts], [*cuts, len(word)], strict=True)) if cuts else []


def compound_parts(word: str) -> list[str]:
    """Return the parts of a compound; nothing for a plain word."""
    return [word[start:end] for start, end in parts(word)]


def terms(names: Iterable[str], text: str) -> list[str]:
    """Return what a passage is found by beside its words: those of its names, and the parts of compounds in both; each once."""
    named = [word for name in names for word in _WORD.findall(name)]
    split = (word[start:end] for word in dict.fromkeys([*named, *_WORD.findall(text)]) for start, end in parts(word))
    return list(islice(dict.fromkeys(word.lower() for word in (*named, *split)), _MOST_TERMS))


def with_parts(query: str) -> str:
    """Return a query with the parts of its compounds."""
    return " ".join([query, *(word[start:end] for word in _WORD.findall(query) for start, end in parts(word))])


def pairs(query: str, language: Language = ENGLISH) -> list[tuple[str, str]]:
    """Return the words of a query that follow each other, stopwords left out: each pair once, the first 32."""
    kept = [word for word in _WORD.findall(query) if not language.is_stopword(word)]
    return list(islice(dict.fromkeys(pairwise(kept)), _MOST_PAIRS))


def has_words(text: str, language: Language = ENGLISH) -> bool:
    """Return whether a text has a word that is indexed."""
    return not all(language.is_stopword(word) for word in _WORD.findall(text))


def phrases(query: str, language: Language = ENGLISH) -> tuple[list[str], str]:
    """Return the quoted phrases of a query, and the query without their quotation marks.

    A quotation mark opens after a space and closes before one or a punctuation mark; every other is a character like others, and
    so are those around nothing but stopwords, and all in a question of several sentences, which quotes without asking for a phrase.
    """
    if len(_PHRASE.sub("", query)) > _LONG_QUESTION:
        return [], query
    found = [match for match in _PHRASE.finditer(query) if has_words(match[1], language)]
    for match in found:  # a space for each mark, so that places stay
        query = f"{query[: match.start()]} {match[1]} {query[match.end() :]}"
    return [match[1] for match in found], query


def _begins_part(word: str, place: int) -> bool:
    """Return whether an uppercase letter begins a part; that of ``APIs`` does not."""
    following = word[place + 1 : place + 3]
    return not word[place - 1].isupper() or (len(following) == 2 and following.islower())


class Marks(dict[str, Sequence[tuple[int, int]]]):
    """For each word of a text: what of it matches a query, the whole, parts of a compound, or nothing. Computed once a word."""

    def __init__(self, query: str, language: Language = ENGLISH) -> None:
        super().__init__()
        self._language = language
        found = _WORD.findall(query)
        found += [word[start:end] for word in found for start, end in parts(word)]
        kept = {word.lower() for word in found} - language.stopwords
        self._stems = {language.stem(word) for word in kept}
        self._prefixes = {language.prefix(word) for word in kept}
        self._candidates = _candidates(self._prefixes) if language is ENGLISH else _WORD

    def places(self, text: str) -> Iterator[tuple[int, int]]:
        """Return where what matches begins and ends in a text, in its order."""
        for match in self._candidates.finditer(text):
            for start, end in self[match.group()]:
                yield match.start() + start, match.start() + end

    def __missing__(self, word: str) -> Sequence[tuple[int, int]]:
        whole = ((0, len(word)),)
        self[word] = marks = (
            whole if self._matches(word) else [(start, end) for start, end in parts(word) if self._matches(word[start:end])]
        )
        return marks

    def _matches(self, word: str) -> bool:
        lower, language = word.lower(), self._language
        # Most words are told by their first letters: to stem them takes fifty times as long.
        return language.prefix(lower) in self._prefixes and not language.is_stopword(lower) and language.stem(lower) in self._stems


def _candidates(prefixes: Collection[str]) -> re.Pattern[str]:
    """Return what finds the words that begin like one of the query, and those that may be compounds: few of a text."""
    if not prefixes or not all(prefix.isascii() for prefix in prefixes):
        return _WORD
    begins = "|".join(prefix.replace("i", "[iy]") for prefix in sorted(prefixes))
    return re.compile(rf"(?<![^\W_])(?:(?i:{begins})[^\W_]*|[^\W_]+[^\W_a-z0-9][^\W_]*)")
