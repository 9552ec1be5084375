"""The language of a document and of an index."""

from collections import Counter

import pytest

from services.collection.worker.extraction.language import detected
from services.collection.worker.languages import chosen

_TEXTS = {
    "de": "Der Wärmeübergang an der ebenen Platte wurde im Windkanal gemessen, und die Rechnung stimmt damit überein.",
    "fr": "Les chevaux galopaient dans la prairie pendant que les enfants jouaient au bord de la rivière.",
    "en": "The heat transfer to a flat plate was measured in a wind tunnel, and the theory agrees with it.",
    "sv": "Hästarna sprang över ängen medan barnen lekte vid flodens strand, och ingen tittade på klockan.",
    "": "41 17 3.14 => [x] -- ok",
}


@pytest.mark.parametrize("language", _TEXTS)
def test_a_text_tells_its_language(language: str) -> None:
    """Too short a one does not, whatever the detector takes it for."""
    assert detected(_TEXTS[language]) == language
    assert detected(_TEXTS[language] + "\0") == language


@pytest.mark.parametrize(
    ("counts", "current", "wanted"),
    [
        ({}, "en", "en"),
        ({"": 10}, "de", "de"),
        ({"de": 10}, "en", "de"),
        ({"de": 1, "": 1}, "en", "de"),
        ({"de": 1, "": 2}, "en", "en"),
        ({"de": 2, "en": 1}, "fr", "de"),
        ({"de": 3, "en": 2}, "fr", "en"),
        ({"de": 3, "fr": 3}, "de", "de"),
        ({"de": 2, "fr": 3}, "de", "en"),
    ],
)
def test_an_index_has_the_language_of_most_documents(counts: dict[str, int], current: str, wanted: str) -> None:
    """English where they do not agree; what it has where half of them have it, so that it does not change to and fro."""
    assert chosen(Counter(counts), current) == wanted
