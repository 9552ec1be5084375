"""Words as the text index sees them: runs of letters and digits, lowercased, English stems, without stopwords; and compounds' parts.

The stemmer is the engine's, in the version of Snowball that it has, and so is the list of stopwords: a test compares both.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice

import snowballstemmer

_WORD = re.compile(r"[^\W_]+")
_STOPWORDS = frozenset(
    """
    a about above after again against ain all am an and any are aren as at be because been before being below between both but by
    can couldn d did didn do does doesn doing don down during each few for from further had hadn has hasn have haven having he her
    here hers herself him himself his how i if in into is isn it its itself just ll m ma me mightn more most mustn my myself needn
    no nor not now o of off on once only or other our ours ourselves out over own re s same shan she should shouldn so some such t
    than that the their theirs them themselves then there these they this those through to too under until up ve very was wasn we
    were weren what when where which while who whom why will with won wouldn y you your yours yourself yourselves
    """.split()  # noqa: SIM905 - a page of quotation marks says no more
)
_PREFIX = 2
_PHRASE = re.compile(r'(?<!\S)"([^"]+)"(?![^\s,.;:?!)])')
_LONG_QUESTION = 200  # characters outside of phrases
_MOST_TERMS = 200
_stemmer = snowballstemmer.stemmer("english")


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


def terms(names: Iterable[str], text: str) -> list[str]:
    """Return what a passage is found by beside its words: those of its names, and the parts of compounds in both; each once."""
    named = [word for name in names for word in _WORD.findall(name)]
    split = (word[start:end] for word in dict.fromkeys([*named, *_WORD.findall(text)]) for start, end in parts(word))
    return list(islice(dict.fromkeys(word.lower() for word in (*named, *split)), _MOST_TERMS))


def with_parts(query: str) -> str:
    """Return a query with the parts of its compounds."""
    return " ".join([query, *(word[start:end] for word in _WORD.findall(query) for start, end in parts(word))])


def phrases(query: str) -> tuple[list[str], str]:
    """Return the quoted phrases of a query, and the query without their quotation marks.

    A quotation mark opens after a space and closes before one or a punctuation mark; every other is a character like others, and
    so are those around nothing but stopwords, and all in a question of several sentences, which quotes without asking for a phrase.
    """
    if len(_PHRASE.sub("", query)) > _LONG_QUESTION:
        return [], query
    found = [match for match in _PHRASE.finditer(query) if any(word.lower() not in _STOPWORDS for word in _WORD.findall(match[1]))]
    for match in found:  # a space for each mark, so that places stay
        query = f"{query[: match.start()]} {match[1]} {query[match.end() :]}"
    return [match[1] for match in found], query


def _begins_part(word: str, place: int) -> bool:
    """Return whether an uppercase letter begins a part; that of ``APIs`` does not."""
    following = word[place + 1 : place + 3]
    return not word[place - 1].isupper() or (len(following) == 2 and following.islower())


class Marks(dict[str, Sequence[tuple[int, int]]]):
    """For each word of a text: what of it matches a query, the whole, parts of a compound, or nothing. Computed once a word."""

    def __init__(self, query: str) -> None:
        super().__init__()
        found = _WORD.findall(query)
        found += [word[start:end] for word in found for start, end in parts(word)]
        kept = {word.lower() for word in found} - _STOPWORDS
        self._stems = {stem(word) for word in kept}
        self._prefixes = {_prefix(word) for word in kept}

    def __missing__(self, word: str) -> Sequence[tuple[int, int]]:
        whole = ((0, len(word)),)
        self[word] = marks = (
            whole if self._matches(word) else [(start, end) for start, end in parts(word) if self._matches(word[start:end])]
        )
        return marks

    def _matches(self, word: str) -> bool:
        lower = word.lower()
        # Most words are told by their first letters: to stem them takes fifty times as long.
        return _prefix(lower) in self._prefixes and lower not in _STOPWORDS and stem(lower) in self._stems


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the stem of a lowercase word."""
    return str(_stemmer.stemWord(word))


def _prefix(word: str) -> str:
    """Return what words of one stem have in common: two letters, but for "dying", "lying" and "tying"."""
    return word[:_PREFIX].replace("y", "i")
