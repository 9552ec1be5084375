"""The sentences of a text, and the one that best answers a query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantik.search.v1.search_service_pb2 import Hit
from services.search.languages.language import ENGLISH, language_of
from services.search.stages.best_sentence import add_best_sentences, sentences
from services.search.stages.highlights import highlights
from services.search.words import Marks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "no." She left.', ['He said "no."', "She left."]),
        ("A line\nthat goes on. Next", ["A line\nthat goes on.", "Next"]),
        ("Heading\n\nText of it.", ["Heading", "Text of it."]),
        ("Items:\n- one\n- two\n3. three", ["Items:", "- one", "- two", "3. three"]),
        ("J. R. Smith wrote 3.14 e.g. here. End", ["J. R. Smith wrote 3.14 e.g. here.", "End"]),
        ("火星。地球｡「月」", ["火星。", "地球｡", "「月」"]),
        ("Größe zählt. Äpfel auch…  Ja.", ["Größe zählt.", "Äpfel auch…", "Ja."]),
        ("ما هذا؟ هذا كتاب.", ["ما هذا؟", "هذا كتاب."]),
        ("यह एक है। यह दो है।", ["यह एक है।", "यह दो है।"]),
        (f"{'x' * 200}\n{'y' * 200}", ["x" * 200, "y" * 200]),
        (" \n ", []),
    ],
)
def test_a_text_is_cut_into_sentences(text: str, expected: list[str]) -> None:
    """At stops, empty lines and items; what has no end for long, at its lines."""
    assert [text[start:end] for start, end in sentences(text)] == expected


@given(st.lists(st.sampled_from(["a", "B", ".", "!", "。", " ", "\n", "- ", "1.", '"', "x" * 200]), max_size=30).map("".join))
def test_sentences_leave_out_blanks_alone(text: str) -> None:
    """They are in order, apart, begin and end with something, and have all the rest."""
    places = list(sentences(text))
    edges = [edge for place in places for edge in place]
    assert edges == sorted(edges)
    assert all(text[start:end] == text[start:end].strip() for start, end in places)
    assert "".join("".join(text[start:end].split()) for start, end in places) == "".join(text.split())


def _best(query: str, *texts: str, code: str = "en") -> list[str]:
    language = language_of(code)
    hits = [Hit(text=text, highlights=highlights(Marks(query, language), text)) for text in texts]
    add_best_sentences(hits, [language] * len(hits))
    return [hit.text[hit.best_sentence.start : hit.best_sentence.end] if hit.HasField("best_sentence") else "" for hit in hits]


def test_the_best_sentence_has_most_of_the_words() -> None:
    """In any form; a word counts once, and of equal sentences the first is it."""
    assert language_of("en") is ENGLISH
    assert _best("songs of whales", "Whales eat, whale after whale. The song of a whale is long. Whale songs.") == [
        "The song of a whale is long."
    ]
    assert _best("close matches", "It is close. Call getCloseMatches now.") == ["Call getCloseMatches now."]
    assert _best("Häuser Dächer", "Ein Haus. Das Dach der Häuser. Ende.", code="de") == ["Das Dach der Häuser."]
    assert _best("whale", "A whale. Another whale.") == ["A whale."]


def test_a_rare_word_weighs_more_than_a_common_one() -> None:
    """As many sentences of all hits have it."""
    first = "The engine has an oil filter. The gasket leaks."
    assert _best("engine gasket", first, "An engine. Engines.", "One more engine.")[0] == "The gasket leaks."


def test_a_text_without_the_words_has_no_best_sentence() -> None:
    """As one that was found by its meaning alone."""
    assert _best("whale", "Large mammals of the sea.", "A whale.") == ["", "A whale."]
    assert _best("", "A whale.") == [""]
