"""Compounds, and phrases of a query."""

import pytest

from buf.validate import validate_pb2
from semantik.collection.v1.collection_service_pb2 import CreateCollectionRequest, UpdateCollectionRequest
from services.search.languages.language import LANGUAGES, common, language_of
from services.search.languages.stopwords import STOPWORDS
from services.search.words import pairs, parts, phrases, terms, with_parts

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


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", []),
        ("gate", []),
        ("the gate of the river", [("gate", "river")]),
        ("Is the Gate open? open gate open", [("Gate", "open"), ("open", "open"), ("open", "gate"), ("gate", "open")]),
        (" ".join(f"w{number}" for number in range(100)), [(f"w{number}", f"w{number + 1}") for number in range(32)]),
    ],
)
def test_words_that_follow_each_other_are_pairs(query: str, found: list[tuple[str, str]]) -> None:
    """Over stopwords and punctuation, each once, and not without end."""
    assert pairs(query) == found


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


def test_languages_of_the_contract_have_a_stemmer() -> None:
    """And no other has one."""
    for message in (CreateCollectionRequest, UpdateCollectionRequest):
        rules = message.DESCRIPTOR.fields_by_name["language"].GetOptions().Extensions[validate_pb2.field]
        assert set(getattr(rules.string, "in")) == {"", *LANGUAGES}
    assert {language.name for language in LANGUAGES.values()} == set(STOPWORDS)
    assert [language_of(code).code for code in ("de", "de-AT", "PT-br", "pl", "", "zh-Latn")] == ["de", "de", "pt", "en", "en", "en"]


def test_languages_that_differ_are_searched_in_english() -> None:
    """One language is that of the question."""
    german, french = LANGUAGES["de"], LANGUAGES["fr"]
    assert [common(given).code for given in ([german, german], [german, french], [])] == ["de", "en", "en"]
