"""A generation that is not active yet is searched and measured beside the active one."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest

from libs.rpc.call import Principal
from libs.rpc.errors import reason_of
from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.evaluation_pb2 import Evaluation
from semantik.search.v1.index_pb2 import DocumentVersion
from semantik.search.v1.search_internal_service_pb2 import SearchInternalServiceSearchRequest
from semantik.search.v1.search_internal_service_pb2_grpc import SearchInternalServiceStub
from semantik.search.v1.search_service_pb2 import SEARCH_MODE_KEYWORD, SearchRequest
from tests.conftest import Person
from tests.service.search.conftest import Fill, MakeChunk, Place

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

_COPY = """INSERT INTO collection.index_generations (collection_id, generation, state, qdrant_name, model, digest, precision, dimension,
    max_length, pooling, chunk_strategy, chunk_size, chunk_overlap, chunking_id)
    SELECT collection_id, 2, 'BUILDING', %s, model, digest, precision, dimension, max_length, pooling, chunk_strategy, chunk_size,
    chunk_overlap, chunking_id FROM collection.index_generations WHERE collection_id = %s"""
WORDS = SearchRequest(mode=SEARCH_MODE_KEYWORD)


@pytest.fixture
async def judged(
    ada: Person,
    collection: Collection,
    fill: Fill,
    place: Place,
    chunk: MakeChunk,
    index: "IndexInternalServiceAsyncStub",
    rows: psycopg.AsyncConnection,
) -> str:
    """A judged set over a collection whose second generation alone has one of two documents."""
    await fill(ada, collection, ["the zebra runs"], path="zebra.txt", name="zebra.txt")
    name = f"{(await place(ada, collection)).index_name}-next"
    await rows.execute(_COPY, (name, collection.id))
    await index.CreateIndex(messages.CreateIndexRequest(index_name=name, dimension=4))
    texts = {"zebra.txt": "the zebra runs", "tuba.txt": "the tuba is low"}
    chunks = [chunk(text=text, path=path, name=path) for path, text in texts.items()]
    await index.UpsertChunks(messages.UpsertChunksRequest(index_name=name, fence=1, chunks=chunks))
    documents = [DocumentVersion(document_id=each.document_id, content_version=each.content_version) for each in chunks]
    await index.PublishDocuments(messages.PublishDocumentsRequest(index_name=name, fence=1, documents=documents))
    judged_set = await ada.client.evaluations.create_set(collection.id, "both")
    await ada.client.evaluations.put(judged_set.id, {"1": "zebra", "2": "tuba"}, {"1": {"zebra": 1}, "2": {"tuba": 1}})
    return judged_set.id


async def _measured(ada: Person, judged: str, generation: int) -> Evaluation:
    evaluation, operation = await ada.client.evaluations.start(judged, WORDS, generation=generation)
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    return await ada.client.evaluations.get(evaluation.id)


async def test_two_generations_are_compared(ada: Person, judged: str) -> None:
    """The next one is better, by what the active one does not have."""
    active, following = [await _measured(ada, judged, generation) for generation in (0, 2)]
    assert [(each.generation, each.measurements[0].value) for each in (active, following)] == [(1, 0.5), (2, 1.0)]
    answer = await ada.client.evaluations.compare(following.id, active.id)
    assert [(each.id, each.value, each.baseline) for each in answer.queries] == [("2", 1.0, 0.0)]


async def test_a_generation_that_is_gone_ends_an_evaluation(ada: Person, judged: str) -> None:
    """As one that never was."""
    evaluation, operation = await ada.client.evaluations.start(judged, WORDS, generation=7)
    operation = await ada.client.operations.wait(operation.id)
    assert (operation.state, operation.error.message) == (Operation.STATE_FAILED, "generation 7 does not exist")
    assert not (await ada.client.evaluations.get(evaluation.id)).measurements


async def test_a_generation_is_as_readable_as_its_collection(
    ada: Person, stranger: Person, judged: str, collection: Collection, peer: Callable[[str], grpc.aio.Channel]
) -> None:
    """Who may not read the collection learns of no generation, whatever its number."""
    stub = SearchInternalServiceStub(peer("search"))

    def request(person: Person, generation: int) -> SearchInternalServiceSearchRequest:
        principal = Principal(person.user.id, person.user.role).proto()
        search = SearchRequest(query="tuba", mode=SEARCH_MODE_KEYWORD, collection_ids=[collection.id])
        return SearchInternalServiceSearchRequest(principal=principal, request=search, generation=generation)

    assert [len((await stub.Search(request(ada, generation))).response.hits) for generation in (0, 1, 2)] == [0, 0, 1]
    for person, expected in ((ada, "GENERATION_NOT_FOUND"), (stranger, "COLLECTION_NOT_FOUND")):
        for generation in (2, 7) if person is stranger else (7,):
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await stub.Search(request(person, generation))
            assert reason_of(refusal.value) == expected
    with pytest.raises(SemantikError):
        await stranger.client.evaluations.start(judged, WORDS, generation=2)
