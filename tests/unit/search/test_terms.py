"""The words of a query that say something, and which of them a hit has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantik.search.v1.search_service_pb2 import Hit
from services.search.stages.highlights import highlights
from services.search.terms import Terms
from services.search.words import Marks


def _hit(query: str, text: str, **names: str) -> Hit:
    hit = Hit(text=text, highlights=highlights(Marks(query), text))
    for field, name in names.items():
        setattr(hit, field, name)
    return hit


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", []),
        ("the of and", []),
        ("How do Whales breathe?", ["Whales", "breathe"]),
        ("whale whales WHALES", ["whale"]),
        ("getCloseMatches in HTTPServer", ["getCloseMatches", "HTTPServer"]),
        ("v3.11 naïve Größe 🍎", ["v3", "11", "naïve", "Größe"]),
    ],
)
def test_terms_are_the_words_that_say_something(query: str, terms: list[str]) -> None:
    """Each stem once, as it was typed first."""
    assert list(Terms(query).words.values()) == terms


@pytest.mark.parametrize(
    ("query", "text", "names", "terms"),
    [
        ("blue whales", "a whale", {}, ["whales"]),
        ("blue whales", "nothing", {"section": "Blue", "name": "whaleSong.txt"}, ["blue", "whales"]),
        ("getCloseMatches", "getCloseMatches", {}, ["getCloseMatches"]),
        ("getCloseMatches", "get close matches", {}, ["getCloseMatches"]),
        ("getCloseMatches", "get matches", {}, []),
        ("close get", "getCloseMatches", {}, ["close", "get"]),
        ("getCloseMatches", "nothing", {"path": "get/close/matches.py"}, ["getCloseMatches"]),
    ],
)
def test_a_hit_has_terms_in_any_form(query: str, text: str, names: dict[str, str], terms: list[str]) -> None:
    """In its text or what it is called, a compound also by all of its parts."""
    assert Terms(query).of(_hit(query, text, **names)) == terms


@given(st.text(), st.text(), st.text())
def test_any_query_takes_any_hit(query: str, text: str, name: str) -> None:
    """Its own words are found, in the query's order."""
    terms = Terms(query)
    words = list(terms.words.values())
    assert terms.of(_hit(query, query)) == words
    found = terms.of(_hit(query, text, name=name))
    assert found == [word for word in words if word in found]
