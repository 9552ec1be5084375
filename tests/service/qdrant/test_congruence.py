"""The embedded engine answers as Qdrant does, in everything that the search service asks.

It is compared with the official client's model of a server, and with a real server where QDRANT_URL (and QDRANT_API_KEY) name one.
"""

import os
import re
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.rpc.errors import Failure
from semantik.collection.v1.collection_internal_service_pb2 import AuthorizedCollection
from semantik.search.v1.filter_pb2 import Facet
from semantik.search.v1.index_pb2 import Chunk, DocumentMetadata, DocumentVersion
from semantik.search.v1.search_service_pb2 import SearchRequest
from services.search import conditions
from services.search.filters.indexed import with_unindexed
from services.search.index.indexes import Indexes
from services.search.languages.language import ENGLISH, language_of
from services.search.passage import DENSE, TEXT, WHOLE, dense_vector
from services.search.qdrant import Qdrant, connect, q
from services.search.stages.facets import facets
from services.search.stages.neighbours import add_neighbours, around
from services.search.stages.present import present
from services.search.stages.read import read
from services.search.stages.request import plan
from services.search.stages.retrieve import retrieve, words_ahead
from services.search.stages.select import select
from services.search.stages.trace import Trace
from services.search.vectors.example import example
from tests.service.qdrant.conftest import KEY, Engine
from tests.service.qdrant.congruent import Congruent
from tests.service.qdrant.drawing import CHUNKS, DOCUMENTS, SEARCHES, SIZE, SOURCES, VECTORS, WORDS, WRITES
from tests.service.qdrant.reference import Reference

_ROOT = Path(__file__).parents[3]
_SERVER = os.environ.get("QDRANT_URL", "")
_CALL = re.compile(r"\.(points|collections)\(\s*\"(\w+)\"")
# The same through a helper, and the check of readiness.
_EXAMPLE = re.compile(r"_found\(qdrant, \"(\w+)\"")
_KINDS = [Facet.KIND_MIME_TYPE, Facet.KIND_EXTENSION, Facet.KIND_LANGUAGE, Facet.KIND_SOURCE, Facet.KIND_FOLDER]
_PAGE = 3
_generated = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(params=["model", "server"])
async def store(engine: Engine, request: pytest.FixtureRequest) -> AsyncIterator[Congruent]:
    """The engine beside what it is compared with; every index that a test has made is dropped."""
    if request.param == "server" and not _SERVER:
        pytest.skip("set QDRANT_URL, and QDRANT_API_KEY if it has one, to compare with a Qdrant server")
    other: Any = connect(_SERVER, os.environ.get("QDRANT_API_KEY", ""), 20) if request.param == "server" else Reference()
    client = connect(f"http://127.0.0.1:{engine.port}", KEY, 20)
    store = Congruent(Qdrant(client, 20), Qdrant(other, 20))
    yield store
    for name in await Indexes(store).names():
        if name.startswith("congruent"):
            await store.collections("Delete", q.DeleteCollection(collection_name=name))
    await client.close()
    await other.close()


async def _filled(store: Congruent, chunks: Sequence[Chunk] = ()) -> tuple[str, Indexes]:
    """Return a new index with chunks that are published."""
    name, indexes = f"congruent-{uuid.uuid4().hex}", Indexes(store)
    assert await indexes.create(name, SIZE)
    if chunks:
        await indexes.upsert(name, 1, chunks)
        newest = {each.document_id: each.content_version for each in sorted(chunks, key=lambda each: each.content_version)}
        await indexes.publish(name, 1, [DocumentVersion(document_id=key, content_version=version) for key, version in newest.items()])
    return name, indexes


async def _all(store: Congruent, name: str, filter_: Any = None) -> list[Any]:
    """Return all points that a filter keeps, from pages."""
    vectors = q.WithVectorsSelector(include=q.VectorsSelector(names=[DENSE]))
    request = q.ScrollPoints(collection_name=name, filter=filter_, limit=_PAGE, with_payload=WHOLE, with_vectors=vectors)
    found: list[Any] = []
    while True:
        page = await store.points("Scroll", request)
        found += page.result
        if not page.HasField("next_page_offset"):
            return found
        request.offset.CopyFrom(page.next_page_offset)


async def _search(store: Congruent, name: str, request: SearchRequest, vector: bytes) -> None:
    """Search, stage by stage, as the service does."""
    chosen = plan(request, [AuthorizedCollection(index_name=name)], 0)
    chosen = await with_unindexed(store, chosen)
    [query] = chosen.queries
    vectors, trace = {query.model: vector}, Trace()
    kept = await _all(store, name, chosen.filter_)
    counted = await store.points("Count", q.CountPoints(collection_name=name, filter=chosen.filter_, exact=True))
    assert counted.result.count == len(kept)
    ahead = await retrieve(store, chosen, vectors, trace)
    async with words_ahead(store, chosen) as words:
        found = await retrieve(store, chosen, vectors, trace, words)
    assert found.rankings == ahead.rankings
    candidates, _, _ = await select(store, chosen, vectors, found.rankings, trace)
    candidates = await read(store, chosen, candidates)
    assert not await add_neighbours(store, chosen, candidates, present(chosen, candidates), 2, around)
    await facets(store, chosen, _KINDS, ["author", "year"])


@contextmanager
def _refused(reason: str) -> Iterator[None]:
    """Let a refusal with this reason pass, on which both have agreed."""
    try:
        yield
    except Failure as failure:
        if failure.reason_name != reason:
            raise


def test_words_of_the_model_are_their_own_stems() -> None:
    """It has no stems and no stopwords."""
    assert [word for word in WORDS if ENGLISH.stem(word) != word or ENGLISH.is_stopword(word)] == []


@_generated
@given(chunks=CHUNKS, requests=st.lists(SEARCHES, min_size=1, max_size=4), vector=VECTORS)
async def test_searches_find_the_same(store: Congruent, chunks: list[Chunk], requests: list[SearchRequest], vector: bytes) -> None:
    """Points, scores, payloads, counts and pages, with filters of every shape."""
    name, indexes = await _filled(store, chunks)
    for request in requests:
        await _search(store, name, request, vector)
    for document in DOCUMENTS:
        for ordinal in (None, 0):
            with _refused("CHUNK_NOT_FOUND"):
                await example(store, name, document, ordinal)
    await indexes.drop(name, 9)


@_generated
@given(writes=st.lists(WRITES, min_size=4, max_size=12))
async def test_writes_leave_the_same(store: Congruent, writes: list[tuple[Any, ...]]) -> None:
    """Whatever their order, and a write under a low fence is refused by both."""
    name, indexes = await _filled(store)
    for method, *arguments in writes:
        with _refused("FENCED"):
            await getattr(indexes, method)(name, *arguments)
        stats = await indexes.stats(name)
        assert len(await _all(store, name)) == stats.point_count + (stats.fence > 0)
        assert sum([len(page) async for page in indexes.points(name)]) == stats.point_count
    await indexes.drop(name, 9)


_CHUNK = Chunk(document_id=DOCUMENTS[0], source_id=SOURCES[0], content_version=1, text="heat", vector=b"\x00\x00\x80\x3f" * SIZE)
_VECTOR = dense_vector(_CHUNK.vector)
_SHORT = dense_vector(b"\x00\x00\x80\x3f")
_ID = q.PointId(uuid=DOCUMENTS[0])
_EVERYTHING = q.PointsSelector(filter=conditions.all_of())


def _point(vector: Any, using: str = DENSE) -> Any:
    return q.PointStruct(id=_ID, vectors=q.Vectors(vectors=q.NamedVectors(vectors={using: q.Vector(dense=vector)})))


def _nearest(name: str, vector: Any, using: str = DENSE) -> Any:
    return q.QueryPoints(collection_name=name, query=q.Query(nearest=q.VectorInput(dense=vector)), using=using, limit=1)


def _words(name: str, using: str) -> Any:
    return q.QueryPoints(collection_name=name, query=q.Query(text=q.TextQuery(query="heat")), using=using, limit=1)


_CALLS: dict[str, Callable[[str], Any]] = {
    "Upsert": lambda name: q.UpsertPoints(collection_name=name, wait=True, points=[_point(_VECTOR)]),
    "Delete": lambda name: q.DeletePoints(collection_name=name, wait=True, points=_EVERYTHING),
    "SetPayload": lambda name: q.SetPayloadPoints(collection_name=name, wait=True, points_selector=_EVERYTHING),
    "Query": lambda name: _nearest(name, _VECTOR),
    "QueryBatch": lambda name: q.QueryBatchPoints(collection_name=name, query_points=[_words(name, TEXT), _nearest(name, _VECTOR)]),
    "Get": lambda name: q.GetPoints(collection_name=name, ids=[_ID]),
    "Scroll": lambda name: q.ScrollPoints(collection_name=name, limit=1),
    "Count": lambda name: q.CountPoints(collection_name=name, exact=True),
    "Facet": lambda name: q.FacetCounts(collection_name=name, key="source_id", limit=1),
    "CreateFieldIndex": lambda name: q.CreateFieldIndexCollection(collection_name=name, wait=True, field_name="a", field_type=0),
}
_REFUSED: dict[str, tuple[str, Callable[[str], Any]]] = {
    "a query of another length": ("Query", lambda name: _nearest(name, _SHORT)),
    "a query by a vector that is not there": ("Query", lambda name: _nearest(name, _VECTOR, "other")),
    "a query by words that are not indexed": ("Query", lambda name: _words(name, "source_id")),
    "one wrong query of a batch": (
        "QueryBatch",
        lambda name: q.QueryBatchPoints(collection_name=name, query_points=[_nearest(name, _VECTOR), _nearest(name, _SHORT)]),
    ),
    "a vector of another length": (
        "Upsert",
        lambda name: q.UpsertPoints(collection_name=name, wait=True, points=[_point(_VECTOR), _point(_SHORT)]),
    ),
    "a vector of another name": ("Upsert", lambda name: q.UpsertPoints(collection_name=name, wait=True, points=[_point(_VECTOR, "other")])),
    "counts by what is not indexed": ("Facet", lambda name: q.FacetCounts(collection_name=name, key="metadata_text.no", limit=1)),
    "counts by times": ("Facet", lambda name: q.FacetCounts(collection_name=name, key="modify_time", limit=1)),
}


@pytest.mark.parametrize("method", _CALLS)
async def test_a_missing_index_is_missing_to_both(store: Congruent, method: str) -> None:
    """In every call; to drop it is no error."""
    with pytest.raises(Failure) as refusal:
        await store.points(method, _CALLS[method]("congruent-missing"))
    assert refusal.value.reason_name == "INDEX_NOT_FOUND"
    with pytest.raises(Failure) as refusal:
        await store.collections("Get", q.GetCollectionInfoRequest(collection_name="congruent-missing"))
    assert refusal.value.reason_name == "INDEX_NOT_FOUND"
    dropped = await store.collections("Delete", q.DeleteCollection(collection_name="congruent-missing"))
    assert not dropped.result


@pytest.mark.parametrize("case", _REFUSED)
async def test_refusals_are_the_same(store: Congruent, case: str) -> None:
    """And nothing of what was refused is written."""
    name, indexes = await _filled(store, [_CHUNK])
    method, request = _REFUSED[case]
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await store.points(method, request(name))
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await indexes.stats(name)).point_count == 1


async def test_a_name_is_taken_for_both(store: Congruent) -> None:
    """The service takes it for made by another replica."""
    name, indexes = await _filled(store)
    vectors = q.VectorsConfig(params_map=q.VectorParamsMap(map={DENSE: q.VectorParams(size=SIZE, distance=q.Distance.Cosine)}))
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await store.collections("Create", q.CreateCollection(collection_name=name, vectors_config=vectors))
    assert refusal.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert not await indexes.create(name, SIZE)


async def test_every_call_of_the_service_is_compared(store: Congruent) -> None:
    """A call that the service begins to use has to be made here too."""
    text = "\n".join(path.read_text() for path in sorted((_ROOT / "services" / "search").rglob("*.py")))
    used = {f"{service}/{method}" for service, method in _CALL.findall(text)} | {f"points/{each}" for each in _EXAMPLE.findall(text)}
    document = _CHUNK.document_id
    name, indexes = await _filled(store, [_CHUNK])
    await indexes.raise_fence(name, 2)
    await indexes.set_metadata(name, 2, [DocumentMetadata(document_id=document)])
    await _search(store, name, SearchRequest(query="heat"), _CHUNK.vector)
    await indexes.delete(name, 2, [document], 0, 0)
    await store.ready()
    await indexes.drop(name, 2)
    assert {"points/Query", "points/Upsert", "collections/List"} <= used
    assert used <= store.methods


@pytest.mark.parametrize("store", ["server"], indirect=True)
@pytest.mark.parametrize("code", ["en", "de", "fr", "ru"])
async def test_words_of_languages_are_a_servers(store: Congruent, code: str) -> None:
    """Stems and stopwords; the model has none."""
    texts = [
        "The houses of heating",
        "Die Häuser und ihre Größen",
        "les chevaux nationaux",
        "дома и лошадей",
        "house heat Haus groß cheval дом",
    ]
    chunks = [
        Chunk(document_id=DOCUMENTS[0], source_id=SOURCES[0], content_version=1, ordinal=ordinal, text=text, vector=b"\0\0\x80?" * SIZE)
        for ordinal, text in enumerate(texts)
    ]
    name, indexes = await _filled(store, chunks)
    await indexes.set_language(name, 1, language_of(code))
    for word in " ".join(texts).split():
        await store.points("Query", q.QueryPoints(collection_name=name, query=q.Query(text=q.TextQuery(query=word)), using=TEXT, limit=9))
        filter_ = conditions.all_of(conditions.contains(TEXT, word))
        await store.points("Count", q.CountPoints(collection_name=name, filter=filter_, exact=True))
    await indexes.drop(name, 1)
