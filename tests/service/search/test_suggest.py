"""Suggestions as a person types: what one may read and has asked oneself, each once, and nothing of anybody else."""

import shutil
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import psycopg
import pytest

from deploy.local.supervisor import Mesh
from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1 import index_internal_service_pb2 as index_messages
from semantik.search.v1.index_pb2 import Chunk, DocumentVersion
from semantik.search.v1.suggestion_pb2 import Suggestion
from services.search.qdrant import Qdrant, q
from services.search.stages.request import index_queries
from services.search.suggestions.headings import HeadingIndex
from tests.conftest import Person, Publish
from tests.service.search.conftest import Fill, Place

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

TITLE, SECTION = Suggestion.KIND_TITLE, Suggestion.KIND_SECTION


def _shown(suggestions: Sequence[Suggestion]) -> list[tuple[int, str, str]]:
    return [(each.kind, each.text, each.text[each.match.start : each.match.end]) for each in suggestions]


def _texts(suggestions: Sequence[Suggestion]) -> list[str]:
    return [each.text for each in suggestions]


async def _refused(call: Awaitable[object]) -> tuple[str, str, str]:
    with pytest.raises(SemantikError) as refusal:
        await call
    return refusal.value.code, refusal.value.reason, refusal.value.message


async def test_titles_and_headings_complete_a_prefix(ada: Person, collection: Collection, fill: Fill) -> None:
    """Those first that most documents and sections have, whatever the case and the accents, from any word on; by no extension."""
    for name, section in (("heat-report.txt", "Résumé"), ("plates.txt", "Résumé"), ("return.txt", "Heat transfer"), ("x.retro", "")):
        await fill(ada, collection, ["Some text."], name=name, section=section)
    suggest = ada.client.search.suggest
    assert _shown(await suggest("RE", [collection.id])) == [
        (SECTION, "Résumé", "Ré"),
        (TITLE, "heat-report.txt", "re"),
        (TITLE, "return.txt", "re"),
    ]
    assert _shown(await suggest("heat", [collection.id])) == [(SECTION, "Heat transfer", "Heat"), (TITLE, "heat-report.txt", "heat")]
    assert _shown(await suggest("heat t", [collection.id])) == [(SECTION, "Heat transfer", "Heat t")]
    assert _texts(await suggest("re", [collection.id], limit=1)) == ["Résumé"]
    assert await suggest("eat", [collection.id]) == []
    assert await suggest("", [collection.id]) == []


async def test_a_section_counts_once_in_a_document(ada: Person, collection: Collection, fill: Fill, place: Place, qdrant: Qdrant) -> None:
    """However many passages it has; a title counts its documents."""
    long = str(uuid.uuid4())
    await fill(ada, collection, ["one", "two", "three"], document_id=long, name="whales.txt", section="Whistles")
    for _ in range(2):
        await fill(ada, collection, ["one"], name="whalers.txt", section="Whips")
    query = index_queries([await place(ada, collection)])
    found = await HeadingIndex(qdrant).find(query, "wh")
    assert found.counts == {(TITLE, "whales.txt"): 1, (TITLE, "whalers.txt"): 2, (SECTION, "Whistles"): 1, (SECTION, "Whips"): 2}
    assert _texts(await ada.client.search.suggest("wh", [collection.id])) == ["Whips", "whalers.txt", "Whistles", "whales.txt"]


async def test_what_is_spelled_in_several_ways_is_suggested_once(ada: Person, collection: Collection, fill: Fill) -> None:
    """In the way that is the most common."""
    for section in ("INTRODUCTION", "Introduction", "Introduction"):
        await fill(ada, collection, ["text"], name="introduction", section=section)
    assert _shown(await ada.client.search.suggest("intro", [collection.id])) == [(TITLE, "introduction", "intro")]
    await fill(ada, collection, ["text"] * 2, name="other", section="Introduction")
    assert _shown(await ada.client.search.suggest("intro", [collection.id])) == [(SECTION, "Introduction", "Intro")]


async def test_several_collections_add_up(ada: Person, collection: Collection, fill: Fill) -> None:
    """The named, or all that may be read."""
    second = await ada.client.collections.create("second")
    await fill(ada, collection, ["text"] * 2, name="alpha one", section="")
    await fill(ada, second, ["text"], name="alpha two", section="Alpha three")
    for _ in range(2):
        await fill(ada, second, ["text"], name="x", section="Alpha three")
    everywhere = ["Alpha three", "alpha one", "alpha two"]
    assert _texts(await ada.client.search.suggest("alpha", [collection.id, second.id])) == everywhere
    assert _texts(await ada.client.search.suggest("alpha")) == everywhere
    assert _texts(await ada.client.search.suggest("alpha", [collection.id])) == ["alpha one"]


async def test_what_is_not_published_is_not_suggested(
    ada: Person,
    collection: Collection,
    fill: Fill,
    place: Place,
    index: "IndexInternalServiceAsyncStub",
    chunk: Callable[..., Chunk],
) -> None:
    """Neither before it is nor once it is hidden."""
    [shown] = await fill(ada, collection, ["text"], name="secret plan", section="Secret heading")
    name = (await place(ada, collection)).index_name
    waiting = chunk(vector=[1.0] * 384, name="secret draft", section="Secret thoughts")
    await index.UpsertChunks(index_messages.UpsertChunksRequest(index_name=name, fence=1, chunks=[waiting]))
    assert _texts(await ada.client.search.suggest("secret", [collection.id])) == ["Secret heading", "secret plan"]
    hidden = [DocumentVersion(document_id=shown, content_version=1)]
    await index.HideDocuments(index_messages.HideDocumentsRequest(index_name=name, documents=hidden))
    assert await ada.client.search.suggest("secret", [collection.id]) == []


async def test_what_one_may_not_read_is_as_what_never_existed(
    ada: Person, stranger: Person, collection: Collection, fill: Fill, publish: Publish
) -> None:
    """Among others and alone, also for a prefix that suggests nothing; and where all is suggested from, it is left out."""
    own = await stranger.client.collections.create("own")
    await fill(stranger, own, ["text"], name="treasure map", section="")
    await fill(ada, collection, ["text"], name="treasure chest", section="Treasure")
    for prefix in ("treasure", "", "nothing at all"):
        for before in ([], [own.id]):
            nobodys = str(uuid.uuid4())
            refused = await _refused(stranger.client.search.suggest(prefix, [*before, collection.id]))
            missing = await _refused(stranger.client.search.suggest(prefix, [*before, nobodys]))
            assert refused[:2] == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
            assert [*refused[:2], refused[2].replace(collection.id, "ID")] == [*missing[:2], missing[2].replace(nobodys, "ID")]
    assert _texts(await stranger.client.search.suggest("treasure")) == ["treasure map"]
    shared = await ada.client.collections.create("shared")
    await fill(ada, shared, ["text"], name="treasure island", section="")
    await publish(ada, shared.id)
    assert _texts(await stranger.client.search.suggest("treasure", [shared.id])) == ["treasure island"]


async def test_a_collection_without_an_index_suggests_nothing(ada: Person, collection: Collection) -> None:
    """And one that is deleted is not found."""
    assert await ada.client.search.suggest("a", [collection.id]) == []
    operation = await ada.client.collections.delete(collection.id)
    await ada.client.operations.wait(operation.id)
    assert (await _refused(ada.client.search.suggest("a", [collection.id])))[:2] == ("NOT_FOUND", "COLLECTION_NOT_FOUND")


async def test_of_several_one_whose_index_is_away_is_left_out(
    ada: Person, collection: Collection, fill: Fill, rows: psycopg.AsyncConnection, mesh: Mesh, qdrant: Qdrant
) -> None:
    """Alone it is an error."""
    other = await ada.client.collections.create("other")
    await fill(ada, collection, ["text"], name="whale", section="")
    broken = f"broken-{uuid.uuid4().hex}"
    vectors = q.VectorsConfig(params_map=q.VectorParamsMap(map={"dense": q.VectorParams(size=384, distance=q.Distance.Cosine)}))
    await qdrant.collections("Create", q.CreateCollection(collection_name=broken, vectors_config=vectors))
    shutil.rmtree(mesh.home.vectors / broken / "shard-0")
    await rows.execute("UPDATE collection.index_generations SET qdrant_name = %s WHERE collection_id = %s", (broken, other.id))
    assert _texts(await ada.client.search.suggest("w", [other.id, collection.id])) == ["whale"]
    assert (await _refused(ada.client.search.suggest("w", [other.id])))[:2] == ("UNAVAILABLE", "DEPENDENCY_UNAVAILABLE")


async def test_an_index_without_the_fields_is_left_out_and_completed(
    ada: Person, collection: Collection, fill: Fill, place: Place, qdrant: Qdrant, index: "IndexInternalServiceAsyncStub"
) -> None:
    """One that is older: what is written to it once a worker has opened it is suggested."""
    there = await place(ada, collection)
    vectors = q.VectorsConfig(params_map=q.VectorParamsMap(map={"dense": q.VectorParams(size=384, distance=q.Distance.Cosine)}))
    await qdrant.collections("Create", q.CreateCollection(collection_name=there.index_name, vectors_config=vectors))
    payload = {"name": q.Value(string_value="ancient"), "hidden": q.Value(integer_value=0)}
    old = q.PointStruct(id=q.PointId(uuid=str(uuid.uuid4())), payload=payload)
    old.vectors.vectors.vectors["dense"].dense.data.extend([1.0] * 384)
    await qdrant.points("Upsert", q.UpsertPoints(collection_name=there.index_name, wait=True, points=[old]))
    assert await ada.client.search.suggest("an", [collection.id]) == []
    await fill(ada, collection, ["text"], name="another", section="")
    await index.CreateIndex(index_messages.CreateIndexRequest(index_name=there.index_name, dimension=384))
    assert _texts(await ada.client.search.suggest("an", [collection.id])) == ["another"]


@pytest.mark.parametrize("prefix", ["w", "wo", "word 1", "word 17", "17 w", "word 1 ", 'w"\\*?.[', "\u0301", "%", "w" * 200])
async def test_a_large_index_is_sampled_where_many_begin_so(
    ada: Person, collection: Collection, qdrant: Qdrant, place: Place, prefix: str, monkeypatch: pytest.MonkeyPatch, fill: Fill
) -> None:
    """And has about the counts that it would have else."""
    await fill(ada, collection, ["text"], document_id=str(uuid.uuid4()), name="one", section="")
    await _write(qdrant, (await place(ada, collection)).index_name, 300)
    query = index_queries([await place(ada, collection)])
    exact = (await HeadingIndex(qdrant).find(query, prefix)).counts
    monkeypatch.setattr("services.search.suggestions.headings._MOST_POINTS", 150)
    sampled = (await HeadingIndex(qdrant).find(query, prefix)).counts
    if sum(exact.values()) <= 150:
        assert sampled == exact
    else:
        assert set(sampled) <= set(exact)
        assert sum(sampled.values()) == pytest.approx(sum(exact.values()), rel=0.35)


async def _write(qdrant: Qdrant, name: str, number: int) -> None:
    points = []
    for each in range(number):
        payload = {
            "name": q.Value(string_value=f"Word {each % 20}"),
            "title_words": q.Value(string_value=f"word {each % 20}"),
            "hidden": q.Value(integer_value=0),
        }
        point = q.PointStruct(id=q.PointId(uuid=str(uuid.uuid4())), payload=payload)
        point.vectors.vectors.vectors["dense"].dense.data.extend([1.0] * 384)
        points.append(point)
    await qdrant.points("Upsert", q.UpsertPoints(collection_name=name, wait=True, points=points))
