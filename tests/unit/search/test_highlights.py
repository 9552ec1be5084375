"""Which words of a hit are marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.stages.highlights import highlights
from services.search.words import Marks, words

_CASES = [
    ("whales", "A whale, the WHALES' song", ["whale", "WHALES"]),
    ("the cost of running", "The runs of the runner cost what they cost.", ["runs", "cost", "cost"]),
    ("the of and", "the of and", []),
    ("dying", "Some die, some died.", ["die", "died"]),
    ("Äpfel GRÖSSE", "äpfel, Größe, grösse", ["äpfel", "grösse"]),
    ("c compiler", "C compilers, x", ["C", "compilers"]),
    ("get close matches", "x.getCloseMatches(get_close_match)", ["get", "Close", "Matches", "get", "close", "match"]),
    ("getCloseMatches", "getCloseMatches and get_close_matches", ["getCloseMatches", "get", "close", "matches"]),
    ("http page", "HTTPPage, someHTTPPages, APIs, Utf8Decoder", ["HTTP", "Page", "HTTP", "Pages"]),
    ("decoder utf8 apis", "APIs, Utf8Decoder", ["APIs", "Utf8", "Decoder"]),
    ("3.11", "3.11.7-rc1", ["3", "11"]),
    ("🍎 kernel-mode", "🍎 in kernel mode", ["kernel", "mode"]),
    ("x", "", []),
]


@pytest.mark.parametrize(("query", "text", "marked"), _CASES)
def test_words_of_the_query_are_marked_in_any_form(query: str, text: str, marked: list[str]) -> None:
    """Stopwords are not, and of a compound the parts that match."""
    assert [text[mark.start : mark.end] for mark in highlights(Marks(query), text)] == marked


_LETTERS = st.sampled_from([*"abcdyiEIYKS", *"09_ -.", "\u212a", "\u017f", "İ", "ß", "é", "Ω", "the", "die", "dying", "getPage"])


@given(st.lists(_LETTERS, max_size=12).map("".join), st.lists(_LETTERS, max_size=60).map("".join))
def test_every_word_is_looked_at_that_could_match(query: str, text: str) -> None:
    """The same as if each word of the text was."""
    marks = Marks(query)
    slowly = [(match.start() + start, match.start() + end) for match in words(text) for start, end in marks[match.group()]]
    assert list(marks.places(text)) == slowly


def test_at_most_a_hundred_are_marked() -> None:
    """The first of them."""
    marks = highlights(Marks("word"), "word " * 1000)
    assert [mark.start for mark in marks] == list(range(0, 500, 5))
