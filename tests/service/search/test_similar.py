"""What is near in meaning to a document, a passage or a text."""

import uuid
from collections.abc import Awaitable
from pathlib import Path

import psycopg
import pytest

from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.embedding.v1 import model_pb2
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1.search_warning_pb2 import SearchWarning
from tests.conftest import Person

_TEXTS = {
    "whales.txt": "The blue whale is the largest animal that has ever lived. It breathes air and feeds on krill.",
    "orcas.txt": "Orcas are whales that hunt in family groups called pods. They breathe air through blowholes.",
    "bread.txt": "Sourdough rises slowly overnight in a warm kitchen before the baker shapes the loaves.",
    "rye.txt": "Rye flour makes a dense and dark loaf of bread that keeps for a week.",
}


async def _index(person: Person, collection: Collection, folder: Path, texts: dict[str, str]) -> dict[str, str]:
    """Index files, and return their documents' ids by name."""
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    _, operation = await person.client.sources.add(collection.id, str(folder))
    assert (await person.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    return {document.name: document.id async for document in person.client.documents.list(collection.id)}


@pytest.fixture
async def documents(ada: Person, collection: Collection, shelf: Path) -> dict[str, str]:
    return await _index(ada, collection, shelf / "texts", _TEXTS)


async def _refused(call: Awaitable[object]) -> tuple[str, str, str]:
    with pytest.raises(SemantikError) as refusal:
        await call
    return refusal.value.code, refusal.value.reason, refusal.value.message


async def test_the_nearest_documents_come_first_without_the_one_itself(
    ada: Person, collection: Collection, documents: dict[str, str]
) -> None:
    """To a document, to its only passage and to its text alike, but that a text is no document."""
    whales = documents["whales.txt"]
    by_document = await ada.client.search.similar([collection.id], document_id=whales)
    by_passage = await ada.client.search.similar([collection.id], document_id=whales, ordinal=0)
    by_text = await ada.client.search.similar([collection.id], text=_TEXTS["whales.txt"])
    assert by_document.hits[0].name == "orcas.txt"
    assert {hit.name for hit in by_document.hits} == {"orcas.txt", "bread.txt", "rye.txt"}
    assert [hit.name for hit in by_passage.hits] == [hit.name for hit in by_document.hits]
    assert [hit.score for hit in by_passage.hits] == pytest.approx([hit.score for hit in by_document.hits], abs=1e-3)
    assert [hit.name for hit in by_text.hits] == ["whales.txt", *(hit.name for hit in by_document.hits)]
    assert by_text.hits[0].score > 0.9  # the stored one was read below its name
    assert [hit.is_weak_match for hit in by_document.hits] == [False, True, True]
    assert len((await ada.client.search.similar([collection.id], document_id=whales, limit=2)).hits) == 2


async def test_without_collections_all_that_may_be_read_is_searched(
    ada: Person, stranger: Person, documents: dict[str, str], shelf: Path
) -> None:
    """And nothing of others."""
    own = await stranger.client.collections.create("own")
    await _index(stranger, own, shelf / "foreign", {"whale.txt": _TEXTS["whales.txt"]})
    other = await ada.client.collections.create("other")
    await _index(ada, other, shelf / "more", {"krill.txt": "Krill is what the largest whales eat in the cold sea."})
    found = await ada.client.search.similar(document_id=documents["whales.txt"])
    assert {hit.name for hit in found.hits} == {"orcas.txt", "bread.txt", "rye.txt", "krill.txt"}
    assert not found.warnings
    found = await stranger.client.search.similar(text=_TEXTS["whales.txt"])
    assert [hit.name for hit in found.hits] == ["whale.txt"]


async def test_collections_have_models_of_their_own(
    ada: Person, collection: Collection, documents: dict[str, str], shelf: Path, rows: psycopg.AsyncConnection
) -> None:
    """Under another precision the passages are embedded again; one whose model is away is left out with a warning."""
    other = await ada.client.collections.create("other", precision=model_pb2.Model.PRECISION_FLOAT32)
    await _index(ada, other, shelf / "more", {"krill.txt": "Krill is what the largest whales eat in the cold sea."})
    ids = [collection.id, other.id]
    found = await ada.client.search.similar(ids, document_id=documents["whales.txt"])
    assert {hit.name for hit in found.hits} == {"orcas.txt", "bread.txt", "rye.txt", "krill.txt"}
    await rows.execute("UPDATE collection.index_generations SET model = 'gone' WHERE collection_id = %s", (other.id,))
    found = await ada.client.search.similar(document_id=documents["whales.txt"])
    assert {hit.name for hit in found.hits} == {"orcas.txt", "bread.txt", "rye.txt"}
    assert [(warning.kind, warning.collection_id) for warning in found.warnings] == [(SearchWarning.KIND_COLLECTION_UNAVAILABLE, other.id)]


@pytest.mark.abuse(7)
async def test_a_foreign_document_is_one_that_never_was(
    ada: Person, stranger: Person, collection: Collection, documents: dict[str, str]
) -> None:
    """By itself, by a passage of it that exists or does not, and in a foreign collection."""
    foreign, never = documents["whales.txt"], str(uuid.uuid4())
    own = await stranger.client.collections.create("own")
    for ids in ([], [own.id]):
        for ordinal in (None, 0, 99):
            refused = await _refused(stranger.client.search.similar(ids, document_id=foreign, ordinal=ordinal))
            as_never = await _refused(stranger.client.search.similar(ids, document_id=never, ordinal=ordinal))
            assert refused == (as_never[0], as_never[1], as_never[2].replace(never, foreign))
            assert refused[:2] == ("NOT_FOUND", "DOCUMENT_NOT_FOUND")
    for collection_id in (collection.id, never):
        refused = await _refused(stranger.client.search.similar([collection_id], text="whale"))
        assert refused[:2] == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
        assert (await _refused(ada.client.search.similar([str(uuid.uuid4())], document_id=foreign)))[1] == "COLLECTION_NOT_FOUND"


async def test_a_passage_that_is_not_there_is_not_found(ada: Person, collection: Collection, documents: dict[str, str]) -> None:
    """Nor is a document that was deleted."""
    whales = documents["whales.txt"]
    assert (await _refused(ada.client.search.similar(document_id=whales, ordinal=1)))[:2] == ("NOT_FOUND", "CHUNK_NOT_FOUND")
    await ada.client.documents.delete(whales)
    assert (await _refused(ada.client.search.similar(document_id=whales)))[:2] == ("NOT_FOUND", "DOCUMENT_NOT_FOUND")
    for hit in (await ada.client.search.similar([collection.id], document_id=documents["orcas.txt"])).hits:
        assert hit.name != "whales.txt"
    assert (await _refused(ada.client.search.similar()))[:2] == ("INVALID_ARGUMENT", "INVALID_REQUEST")
