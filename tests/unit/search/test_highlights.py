"""Which words of a hit are marked."""

import pytest

from services.search.stages.highlights import highlights
from services.search.words import Marks

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


def test_at_most_a_hundred_are_marked() -> None:
    """The first of them."""
    marks = highlights(Marks("word"), "word " * 1000)
    assert [mark.start for mark in marks] == list(range(0, 500, 5))
