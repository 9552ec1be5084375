"""What a prefix matches in a text."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.suggestions.words import folded, matched

_TEXTS = st.text(max_size=60) | st.text(alphabet="aAéÉßİ-_./\\ \t\u0301\u00a0가か゛が'\"(1", max_size=40)


@pytest.mark.parametrize(
    ("text", "prefix", "part"),
    [
        ("Heat transfer", "heat", "Heat"),
        ("Heat transfer", "HEAT TR", "Heat tr"),
        ("Heat transfer", "trans", "trans"),
        ("heat_transfer-2024.pdf", "heat tr", "heat_tr"),
        ("heat_transfer-2024.pdf", "transfer/2024", "transfer-2024"),
        ("Heat  \t transfer", "heat transfer", "Heat  \t transfer"),
        ("Wheat and heat", "heat", "heat"),
        ("Résumé", "resu", "Résu"),
        ("Resume", "résu", "Resu"),
        (unicodedata.normalize("NFD", "Café au lait"), "cafe", unicodedata.normalize("NFD", "Café")),
        ("Große Straße", "strasse", "Straße"),
        ("Straße", "stras", "Straß"),
        ("한국어", "한구", "한국"),
        ('"Quoted" words', '"qu', '"Qu'),
        ('"Quoted" words', "qu", "Qu"),
        ("C++ in depth", "c++", "C++"),
        ("§ 5 Scope", "§", "§"),
        ("Heat", "eat", None),
        ("Heat", "heater", None),
        ("Heater", "heat ", None),
        ("Heat", "", None),
        ("", "a", None),
        ("C in depth", "c++", None),
    ],
)
def test_a_prefix_matches_the_beginning_of_a_word(text: str, prefix: str, part: str | None) -> None:
    """Whatever the case, the accents and what stands between words."""
    match = matched(text, folded(prefix).text)
    assert (None if match is None else text[slice(*match)]) == part


@given(_TEXTS)
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    """And each of its characters comes from one of the text, in the same order."""
    plain, origins = folded(text)
    assert folded(plain).text == plain
    assert len(origins) == len(plain)
    assert list(origins) == sorted(origins)
    assert all(0 <= origin < len(text) for origin in origins)
    assert "  " not in plain


@given(_TEXTS)
def test_a_text_is_matched_from_each_of_its_words_on(text: str) -> None:
    """By all that follows, and by its first character; within the text."""
    plain, _ = folded(text)
    for word in [0, *(found.start() for found in re.finditer(r"(?<= )[a-z]", plain))] if plain else []:
        for prefix in (plain[word:], plain[word]):
            match = matched(text, prefix)
            assert match is not None
            start, end = match
            assert 0 <= start < end <= len(text)


@given(_TEXTS, _TEXTS)
def test_a_match_has_the_prefix(text: str, prefix: str) -> None:
    """Read from where it is said to stand."""
    wanted = folded(prefix).text
    if (match := matched(text, wanted)) is not None:
        assert folded(text[match[0] :]).text.lstrip().startswith(wanted.lstrip()) or folded(text[match[0] : match[1]]).text.endswith(wanted)
