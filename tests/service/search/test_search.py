"""Search as people use it: by meaning, by words, by both; over one collection or several; never what one may not read."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest

from libs.rpc.call import Principal
from libs.rpc.errors import reason_of
from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1 import index_internal_service_pb2 as index_messages
from semantik.search.v1.index_pb2 import Chunk, DocumentVersion
from semantik.search.v1.search_internal_service_pb2 import SearchInternalServiceSearchRequest
from semantik.search.v1.search_internal_service_pb2_grpc import SearchInternalServiceStub
from semantik.search.v1.search_service_pb2 import SearchRequest, SearchResponse
from services.search.qdrant import Qdrant, q
from tests.conftest import Person
from tests.service.search.conftest import SOURCE, Fill, Place

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

_WHALES = [
    "The blue whale is the largest animal that has ever lived.",
    "Whales breathe air through blowholes and nurse their calves.",
    "Orcas hunt in family groups called pods.",
]
_BREAD = [
    "Sourdough rises slowly overnight in a warm kitchen.",
    "A baker kneads the dough until it is smooth and elastic.",
    "Rye flour makes a dense and dark loaf.",
]


def _texts(response: SearchResponse) -> list[str]:
    return [hit.text for hit in response.hits]


async def _refused(call: Awaitable[object]) -> tuple[str, str]:
    with pytest.raises(SemantikError) as refusal:
        await call
    return refusal.value.code, refusal.value.reason


@pytest.mark.parametrize(
    ("mode", "query", "first"),
    [
        ("semantic", "giant sea creature", _WHALES[0]),
        ("keyword", "PODS", _WHALES[2]),
        ("keyword", "what is a kitchen's oven and the oven of kitchens", _BREAD[0]),
        ("hybrid", "how do whales get oxygen", _WHALES[1]),
    ],
)
async def test_each_mode_finds_in_its_way(ada: Person, collection: Collection, fill: Fill, mode: str, query: str, first: str) -> None:
    """By meaning without a common word, by words alone (in any form, without those that every text has), by both."""
    await fill(ada, collection, _WHALES + _BREAD)
    found = await ada.client.search(query, [collection.id], mode=mode, limit=3)
    assert _texts(found)[0] == first
    assert len(found.hits) == (1 if mode == "keyword" else 3)
    assert [hit.score for hit in found.hits] == sorted((hit.score for hit in found.hits), reverse=True)
    assert 0 < found.timings.query.ToNanoseconds() <= found.timings.total.ToNanoseconds()
    assert (found.timings.embed.ToMicroseconds() > 500) == (mode != "keyword")


async def test_a_hit_says_where_it_is_from(ada: Person, collection: Collection, fill: Fill) -> None:
    """Document, source, path, place and the words that matched, in characters."""
    fields = {"path": "sea/näive.md", "name": "näive.md", "mime_type": "text/markdown", "page": 3, "section": "Größe"}
    [document] = await fill(ada, collection, ["Für Äpfel: die größte Äpfel-Sorte, 🍎 apple."], **fields)
    [hit] = (await ada.client.search("äpfel APPLE a", [collection.id])).hits
    assert (hit.collection_id, hit.document_id, hit.source_id) == (collection.id, document, SOURCE)
    assert {name: getattr(hit, name) for name in fields} == fields
    assert (hit.ordinal, hit.start_offset, hit.end_offset) == (0, 10, 10 + len(hit.text))
    assert [hit.text[mark.start : mark.end] for mark in hit.highlights] == ["Äpfel", "Äpfel", "apple"]


_CODE = ["def getCloseMatches(word)", "def get_close_matches(word)", "set-close-matches: word", "see app.core.find_word, v3.11.7-rc1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("get close matches", {0, 1, 2}),
        ("getCloseMatches", {0, 1, 2}),
        ("get_close_matches", {0, 1, 2}),
        ("close", {0, 1, 2}),
        ("Core", {3}),
        ("3.11", {3}),
        ("rc1", {3}),
        ('"close match"', {0, 1, 2}),
        ('"get close"', {0, 1}),
        ('"core.find"', {3}),
        ("unheard", set()),
    ],
)
async def test_compound_names_are_found_by_their_parts(
    ada: Person, collection: Collection, fill: Fill, query: str, expected: set[int]
) -> None:
    """In whatever way they are written, in the query or in the text."""
    await fill(ada, collection, _CODE)
    found = await ada.client.search(query, [collection.id], mode="keyword")
    assert set(_texts(found)) == {_CODE[number] for number in expected}


async def test_names_and_headings_weigh_in_beside_the_text(ada: Person, collection: Collection, fill: Fill) -> None:
    """Two equal passages: the one whose name or heading has the word comes first, and is found by that alone."""
    plain, named, headed = [
        (await fill(ada, collection, ["how to bake bread"], **fields))[0]
        for fields in ({}, {"name": "ryeLoaf.md", "path": "recipes/ryeLoaf.md"}, {"section": "Bread with seeds"})
    ]
    for query, expected in (("loaf", [named]), ("recipes", [named]), ("seeds", [headed])):
        found = await ada.client.search(query, [collection.id], mode="keyword")
        assert [hit.document_id for hit in found.hits] == expected
    found = await ada.client.search("bread", [collection.id], mode="keyword")
    assert found.hits[0].document_id == headed
    assert {hit.document_id for hit in found.hits} == {plain, named, headed}


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_a_quoted_phrase_is_a_phrase(ada: Person, collection: Collection, fill: Fill, mode: str) -> None:
    """In every mode; all of them must be there. Without a partner a quotation mark is a plain character."""
    texts = ["the blue whale sings", "a whale sees blue skies", "blue whales sing under the skies"]
    await fill(ada, collection, texts)
    for query, expected in (
        ('"blue whale"', {0, 2}),
        ('sing "blue whale"', {0, 2}),
        ('"blue whale" "under the skies".', {2}),
        ('"whale blue"', set()),
        ('blue "whale', {0, 1, 2}),
        ('a 5" and a 6" whale', {0, 1, 2}),
        (f'{"where may whales sing " * 20} "whale blue"', {0, 1, 2}),
    ):
        found = await ada.client.search(query, [collection.id], mode=mode)
        assert set(_texts(found)) == {texts[number] for number in expected}, query


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_a_filter_narrows(ada: Person, collection: Collection, fill: Fill, mode: str) -> None:
    """By document, source and type; all that are given must fit."""
    source = str(uuid.uuid4())
    texts = [f"whale number {number}" for number in range(3)]
    plain = await fill(ada, collection, texts, mime_type="text/plain")
    marked = await fill(ada, collection, texts, mime_type="text/markdown", source_id=source)
    cases: list[tuple[dict[str, list[str]], list[str]]] = [
        ({"document_ids": [plain[0], marked[1]]}, [plain[0], marked[1]]),
        ({"source_ids": [source]}, marked),
        ({"mime_types": ["text/plain", "text/html"]}, plain),
        ({"mime_types": ["text/markdown"], "document_ids": [plain[2], marked[2]]}, [marked[2]]),
        ({"mime_types": ["text/html"]}, []),
    ]
    for chosen, expected in cases:
        found = await ada.client.search("whale", [collection.id], mode=mode, **chosen)  # type: ignore[arg-type]
        assert {hit.document_id for hit in found.hits} == set(expected)


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_what_is_hidden_is_not_found(
    ada: Person, collection: Collection, fill: Fill, place: Place, index: "IndexInternalServiceAsyncStub", mode: str
) -> None:
    """From the moment the call returns."""
    documents = await fill(ada, collection, [f"{text} whale" for text in _WHALES])
    name = (await place(ada, collection)).index_name
    await index.HideDocuments(
        index_messages.HideDocumentsRequest(index_name=name, documents=[DocumentVersion(document_id=documents[0], content_version=1)])
    )
    found = await ada.client.search("whale", [collection.id], mode=mode)
    assert {hit.document_id for hit in found.hits} == set(documents[1:])


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_what_is_not_published_is_not_found(
    ada: Person,
    collection: Collection,
    fill: Fill,
    place: Place,
    index: "IndexInternalServiceAsyncStub",
    chunk: Callable[..., Chunk],
    mode: str,
) -> None:
    """A new document, and the next version of one that is: until then the one before is found."""
    [document] = await fill(ada, collection, ["a whale"])
    name = (await place(ada, collection)).index_name
    vector = [1.0] * 384
    chunks = [chunk(text="another whale", vector=vector), chunk(document, text="a changed whale", content_version=2, vector=vector)]
    await index.UpsertChunks(index_messages.UpsertChunksRequest(index_name=name, fence=1, chunks=chunks))
    assert _texts(await ada.client.search("whale", [collection.id], mode=mode)) == ["a whale"]
    changed = DocumentVersion(document_id=document, content_version=2)
    await index.PublishDocuments(index_messages.PublishDocumentsRequest(index_name=name, fence=1, documents=[changed]))
    assert _texts(await ada.client.search("whale", [collection.id], mode=mode)) == ["a changed whale"]


async def test_an_index_without_its_text_index_is_empty(
    ada: Person, collection: Collection, fill: Fill, place: Place, qdrant: Qdrant
) -> None:
    """Its creation takes several calls: a search between them finds nothing, and fails for nobody."""
    other = await ada.client.collections.create("other")
    await fill(ada, other, _WHALES)
    vectors = q.VectorParamsMap(map={"dense": q.VectorParams(size=384, distance=q.Distance.Cosine)})
    name = (await place(ada, collection)).index_name
    await qdrant.collections("Create", q.CreateCollection(collection_name=name, vectors_config=q.VectorsConfig(params_map=vectors)))
    for mode in ("semantic", "keyword", "hybrid"):
        assert not (await ada.client.search("whales", [collection.id], mode=mode)).hits
        assert (await ada.client.search("whales", [collection.id, other.id], mode=mode)).hits


async def test_a_deleted_collection_is_gone_with_its_index(
    ada: Person, collection: Collection, fill: Fill, place: Place, qdrant: Qdrant, rows: psycopg.AsyncConnection
) -> None:
    """Although the permission to read it is still kept, and although another replica has dropped the index."""
    await fill(ada, collection, _WHALES)
    name = (await place(ada, collection)).index_name
    assert (await ada.client.search("whale", [collection.id])).hits
    # Its row alone, so that no worker drops the index at a moment of its own.
    await rows.execute("UPDATE collection.collections SET state = 'DELETING' WHERE id = %s", (collection.id,))
    await qdrant.collections("Delete", q.DeleteCollection(collection_name=name))
    for mode in ("semantic", "keyword", "hybrid"):
        assert await _refused(ada.client.search("whale", [collection.id], mode=mode)) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")


async def test_a_service_searches_for_a_user(
    ada: Person, stranger: Person, collection: Collection, fill: Fill, peer: Callable[[str], grpc.aio.Channel]
) -> None:
    """With the user's permissions and to the same answer."""
    await fill(ada, collection, _WHALES)
    stub = SearchInternalServiceStub(peer("search"))
    request = SearchRequest(collection_ids=[collection.id], query="whales")

    async def search(person: Person) -> SearchResponse:
        principal = Principal(person.user.id, person.user.role).proto()
        answer = await stub.Search(SearchInternalServiceSearchRequest(principal=principal, request=request))
        return answer.response

    assert list((await search(ada)).hits) == list((await ada.client.search("whales", [collection.id])).hits)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await search(stranger)
    assert (refusal.value.code(), reason_of(refusal.value)) == (grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND")


async def test_several_collections_rank_together(ada: Person, collection: Collection, fill: Fill) -> None:
    """What fits best comes first wherever it is; the best of a collection without an answer is not lifted up."""
    kitchen = await ada.client.collections.create("kitchen")
    empty = await ada.client.collections.create("empty")
    await fill(ada, collection, _WHALES)
    await fill(ada, kitchen, _BREAD)
    ids = [kitchen.id, empty.id, collection.id]
    for mode in ("semantic", "hybrid"):
        found = await ada.client.search("whale animal breathing air", ids, mode=mode, limit=4)
        assert set(_texts(found)[:2]) == set(_WHALES[:2])
        assert [hit.collection_id for hit in found.hits[:2]] == [collection.id] * 2
        assert len(found.hits) == 4
    words = await ada.client.search("dough pods", ids, mode="keyword")
    assert {(hit.collection_id, hit.text) for hit in words.hits} == {(kitchen.id, _BREAD[1]), (collection.id, _WHALES[2])}


async def test_a_collection_without_documents_has_no_hits(ada: Person, collection: Collection) -> None:
    """Its index is made with the first document; until then there is nothing, and no error."""
    for mode in ("semantic", "keyword", "hybrid"):
        assert not (await ada.client.search("anything", [collection.id], mode=mode)).hits


@pytest.mark.parametrize("query", ["?!", "🍎", "the", "x" * 8192, "a" + "\n" * 50 + "b", "'; DROP TABLE", "AND OR NOT (", "*"])
async def test_any_text_is_a_query(ada: Person, collection: Collection, fill: Fill, query: str) -> None:
    """Signs, stop words and very long ones find what they find."""
    await fill(ada, collection, _WHALES)
    for mode in ("semantic", "keyword", "hybrid"):
        assert len((await ada.client.search(query, [collection.id], mode=mode)).hits) <= 3


async def test_the_limit_holds(ada: Person, collection: Collection, fill: Fill) -> None:
    """Also past what one side brings to the fusion."""
    texts = [f"whale number {number} of the pod" for number in range(60)]
    await fill(ada, collection, texts)
    for limit in (1, 10, 60, 100):
        assert len((await ada.client.search("whale", [collection.id], limit=limit)).hits) == min(limit, 60)


@pytest.mark.abuse(7)
@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_what_one_may_not_read_does_not_exist(ada: Person, stranger: Person, collection: Collection, fill: Fill, mode: str) -> None:
    """Alone or among one's own, it answers as an id that never was; a public one can be read."""
    await fill(ada, collection, _WHALES)
    own = await stranger.client.collections.create("own")
    never = str(uuid.uuid4())
    for ids in ([collection.id], [own.id, collection.id], [never], [own.id, never]):
        assert await _refused(stranger.client.search("whale", ids, mode=mode)) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
    await ada.client.collections.update(collection.id, is_public=True)
    try:
        assert (await stranger.client.search("whale", [collection.id, own.id], mode=mode)).hits
    finally:  # a public one is in everybody's list
        await ada.client.collections.update(collection.id, is_public=False)


@pytest.mark.abuse(20)
async def test_an_index_of_vectors_of_another_length_is_refused(
    ada: Person,
    collection: Collection,
    fill: Fill,
    place: Place,
    index: "IndexInternalServiceAsyncStub",
    chunk: Callable[..., Chunk],
) -> None:
    """Where a vector is needed: alone with an error, among others with a warning; words are found all the same."""
    other = await ada.client.collections.create("other")
    await fill(ada, other, _WHALES)
    name = (await place(ada, collection)).index_name
    await index.CreateIndex(index_messages.CreateIndexRequest(index_name=name, dimension=4))
    await index.UpsertChunks(index_messages.UpsertChunksRequest(index_name=name, fence=1, chunks=[(whale := chunk(text="a whale"))]))
    documents = [DocumentVersion(document_id=whale.document_id, content_version=1)]
    await index.PublishDocuments(index_messages.PublishDocumentsRequest(index_name=name, fence=1, documents=documents))
    for mode in ("semantic", "hybrid"):
        assert await _refused(ada.client.search("whale", [collection.id], mode=mode)) == ("FAILED_PRECONDITION", "MODEL_MISMATCH")
        found = await ada.client.search("whale", [other.id, collection.id], mode=mode)
        assert set(_texts(found)) == set(_WHALES)
        [warning] = found.warnings
        assert (warning.collection_id, warning.reason) == (collection.id, "MODEL_MISMATCH")
    for ids in ([collection.id], [other.id, collection.id]):
        assert "a whale" in _texts(await ada.client.search("whale", ids, mode="keyword"))


@pytest.mark.abuse(20)
@pytest.mark.parametrize(("model", "digest"), [(None, "0" * 64), ("another-model", None)])
async def test_an_index_of_another_model_is_refused(
    ada: Person, collection: Collection, fill: Fill, rows: psycopg.AsyncConnection, model: str | None, digest: str | None
) -> None:
    """Another file under the same name, or a model that is not installed; words are found all the same."""
    await fill(ada, collection, _WHALES)
    await rows.execute(
        "UPDATE collection.index_generations SET model = COALESCE(%s, model), digest = COALESCE(%s, digest) WHERE collection_id = %s",
        (model, digest, collection.id),
    )
    for mode in ("semantic", "hybrid"):
        assert await _refused(ada.client.search("whale", [collection.id], mode=mode)) == ("FAILED_PRECONDITION", "MODEL_MISMATCH")
    assert _texts(await ada.client.search("pods", [collection.id], mode="keyword")) == [_WHALES[2]]


async def test_searches_side_by_side_do_not_mix(ada: Person, collection: Collection, fill: Fill) -> None:
    """Each answer belongs to its question."""
    words = ["lemon", "granite", "violin", "harbour", "falcon", "thunder"]
    await fill(ada, collection, [f"only the {word} is here" for word in words])
    asked = words * 5
    found = await asyncio.gather(*(ada.client.search(word, [collection.id], mode="keyword") for word in asked))
    assert [_texts(each) for each in found] == [[f"only the {word} is here"] for word in asked]
