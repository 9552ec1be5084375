"""Compounds, and phrases of a query."""

import pytest

from services.search.words import parts, phrases, terms, with_parts

_COMPOUNDS = {
    "getCloseMatches": ["get", "Close", "Matches"],
    "HTTPServer": ["HTTP", "Server"],
    "parseJSON": ["parse", "JSON"],
    "Utf8Decoder": ["Utf8", "Decoder"],
    "größeÄndern": ["größe", "Ändern"],
    "APIs": [],
    "word": [],
    "Word": [],
    "WORD": [],
    "A": [],
    "2026": [],
    "sha256": [],
}


@pytest.mark.parametrize("word", _COMPOUNDS)
def test_a_compound_has_parts(word: str) -> None:
    """A plain word has none."""
    assert [word[start:end] for start, end in parts(word)] == _COMPOUNDS[word]


def test_a_query_is_searched_with_its_compounds_parts() -> None:
    """Beside the whole."""
    assert with_parts("where is getClose, setFar?") == "where is getClose, setFar? get Close set Far"
    assert with_parts("a plain question") == "a plain question"


def test_terms_are_bounded() -> None:
    """However many compounds a passage has."""
    assert len(terms([], " ".join(f"w{number}Word" for number in range(1000)))) == 200


@pytest.mark.parametrize(
    ("query", "found", "rest"),
    [
        ('"blue whale"', ["blue whale"], "blue whale"),
        ('find "a b c", or "x y"?', ["a b c", "x y"], "find a b c , or x y ?"),
        ('"open', [], '"open'),
        ('a "b" c "d', ["b"], 'a b c "d'),
        ('a 5" pipe and a 6" hose', [], 'a 5" pipe and a 6" hose'),
        ('print("hello world")', [], 'print("hello world")'),
        ('"to be or not to be"', [], '"to be or not to be"'),
        ('"" " " "!"', [], '"" " " "!"'),
        ("x" * 201 + ' "a b"', [], "x" * 201 + ' "a b"'),
        ('"' + "long phrase " * 50 + '"', ["long phrase " * 50], "long phrase " * 50),
    ],
)
def test_quoted_phrases_are_told_from_quotation_marks(query: str, found: list[str], rest: str) -> None:
    """Which stay where they are."""
    quoted, text = phrases(query)
    assert (quoted, " ".join(text.split())) == (found, " ".join(rest.split()))
