"""Documents are found by their words in the collection's language, and in that language alone."""

from pathlib import Path

from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1.search_service_pb2 import SearchResponse
from tests.conftest import Person

_GERMAN = {
    "dorf.txt": "Am Rande des Dorfes stehen drei alte Häuser, deren Dächer im letzten Winter unter dem Schnee gelitten haben.",
    "pferd.txt": "Die Pferde liefen über die Wiese, während die Kinder des Bauern am Ufer des kleinen Flusses spielten.",
}
_FRENCH = "Les chevaux nationaux galopaient dans la prairie pendant que les enfants des fermiers jouaient au bord de la rivière."
_ENGLISH = {
    f"{number}.txt": f"The {animal} of the river were seen in the morning, while the children of the farmer slept until noon."
    for number, animal in enumerate(("whales", "otters", "herons", "beavers", "swans"))
}


async def _index(ada: Person, collection: Collection, shelf: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        (shelf / name).write_text(text)
        _, operation = await ada.client.documents.upload(collection.id, shelf / name)
        assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED


async def _by_words(ada: Person, collection: Collection, query: str, filter_text: str = "") -> SearchResponse:
    return await ada.client.search(query, [collection.id], mode="keyword", filter_text=filter_text, facets=["lang"])


def _marked(answer: SearchResponse) -> list[tuple[str, list[str]]]:
    return [(hit.path, [hit.text[mark.start : mark.end] for mark in hit.highlights]) for hit in answer.hits]


async def test_german_documents_are_found_by_any_form_of_a_word(ada: Person, collection: Collection, shelf: Path) -> None:
    """As soon as the first is indexed; articles find nothing, and the highlights are those words."""
    await _index(ada, collection, shelf, _GERMAN)
    assert (await ada.client.collections.get(collection.id)).index_language == "de"
    assert {each.language async for each in ada.client.documents.list(collection.id)} == {"de"}
    found = await _by_words(ada, collection, "das Haus des Kindes")
    assert sorted(_marked(found)) == [("dorf.txt", ["Häuser"]), ("pferd.txt", ["Kinder"])]
    assert _marked(await _by_words(ada, collection, '"alten Haus"')) == [("dorf.txt", ["alte", "Häuser"])]
    assert _marked(await _by_words(ada, collection, "des am die")) == []
    found = await _by_words(ada, collection, "Pferd", "lang:de wiesen")
    assert ([hit.path for hit in found.hits], found.facets[0].values[0].value) == (["pferd.txt"], "de")
    assert (await _by_words(ada, collection, "Pferd", "lang:en")).hits == []


async def test_a_language_that_is_set_is_kept(ada: Person, shelf: Path) -> None:
    """At creation or later; what was indexed before is found in it too."""
    collection = await ada.client.collections.create("bibliothèque", language="fr")
    await _index(ada, collection, shelf, {"cheval.txt": _FRENCH, **_GERMAN})
    there = await ada.client.collections.get(collection.id)
    assert (there.language, there.index_language) == ("fr", "fr")
    assert _marked(await _by_words(ada, collection, "le cheval national")) == [("cheval.txt", ["chevaux", "nationaux"])]
    assert _marked(await _by_words(ada, collection, "Haus")) == []

    changed = await ada.client.collections.update(collection.id, language="de")
    assert changed.language == "de"
    await _index(ada, collection, shelf, {"mehr.txt": "Noch etwas."})
    assert (await ada.client.collections.get(collection.id)).index_language == "de"
    assert [path for path, _ in _marked(await _by_words(ada, collection, "Haus"))] == ["dorf.txt"]


async def test_documents_in_several_languages_are_found_in_english(ada: Person, collection: Collection, shelf: Path) -> None:
    """A German collection becomes an English one once most of its documents are; each word is still found as it is written."""
    await _index(ada, collection, shelf, _GERMAN)
    await _index(ada, collection, shelf, _ENGLISH)
    assert (await ada.client.collections.get(collection.id)).index_language == "en"
    assert [path for path, _ in _marked(await _by_words(ada, collection, "a whale"))] == ["0.txt"]
    assert [path for path, _ in _marked(await _by_words(ada, collection, "Häuser"))] == ["dorf.txt"]
    assert {each.language async for each in ada.client.documents.list(collection.id)} == {"de", "en"}
