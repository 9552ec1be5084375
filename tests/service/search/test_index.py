"""The worker's side: an index is made once, written under a fence, and holds exactly what was written."""

import asyncio
import random
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc import StatusCode
from qdrant_client import AsyncQdrantClient

from deploy.local.supervisor import Mesh
from libs.rpc.errors import Failure
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from services.search.index import Indexes
from services.search.points import point_id
from tests.conftest import Person

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

Refusal = Callable[[Awaitable[object]], Awaitable[tuple[StatusCode, str]]]
Make = Callable[..., messages.Chunk]
_FENCED = (StatusCode.FAILED_PRECONDITION, "FENCED")
_NO_INDEX = (StatusCode.NOT_FOUND, "INDEX_NOT_FOUND")
_BAD_VECTOR = (StatusCode.INVALID_ARGUMENT, "VECTOR_INVALID")


async def _points(index: "IndexInternalServiceAsyncStub", name: str) -> list[messages.ListPointsResponse.Point]:
    return [point async for page in index.ListPoints(messages.ListPointsRequest(index_name=name)) for point in page.points]


async def _stats(index: "IndexInternalServiceAsyncStub", name: str) -> tuple[int, int]:
    stats = await index.GetIndexStats(messages.GetIndexStatsRequest(index_name=name))
    return stats.point_count, stats.fence


async def _upsert(index: "IndexInternalServiceAsyncStub", name: str, *chunks: messages.Chunk, fence: int = 5) -> None:
    await index.UpsertChunks(messages.UpsertChunksRequest(index_name=name, fence=fence, chunks=chunks))


async def test_an_index_is_made_once(index: "IndexInternalServiceAsyncStub", refusal: Refusal) -> None:
    """Again changes nothing; another length of vectors is refused; two at once make one."""
    name = f"once-{uuid.uuid4()}"
    request = messages.CreateIndexRequest(index_name=name, dimension=4)
    both = await asyncio.gather(index.CreateIndex(request), index.CreateIndex(request))
    assert sorted(answer.is_new for answer in both) == [False, True]
    assert await _stats(index, name) == (0, 0)
    assert await refusal(index.CreateIndex(messages.CreateIndexRequest(index_name=name, dimension=5))) == _BAD_VECTOR


async def test_a_point_follows_from_what_it_holds(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """The same chunk again overwrites itself; a new version of the document is another point."""
    document = str(uuid.uuid4())
    for _ in range(2):
        await _upsert(index, name, chunk(document, 0), chunk(document, 1))
    await _upsert(index, name, chunk(document, 0, content_version=2))
    found = {(point.id, point.document_id, point.content_version, point.ordinal, point.hidden) for point in await _points(index, name)}
    assert found == {
        (point_id(name, document, version, ordinal), document, version, ordinal, False) for version, ordinal in ((1, 0), (1, 1), (2, 0))
    }
    assert await _stats(index, name) == (3, 5)


async def test_a_late_writer_is_refused(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal) -> None:
    """Every write under a lower fence, whatever it is; the same fence and higher ones pass."""
    kept = chunk()
    await _upsert(index, name, kept)
    late: list[Awaitable[object]] = [
        index.FenceIndex(messages.FenceIndexRequest(index_name=name, fence=4)),
        index.UpsertChunks(messages.UpsertChunksRequest(index_name=name, fence=4, chunks=[chunk()])),
        index.DeleteChunks(messages.DeleteChunksRequest(index_name=name, fence=4, document_ids=[kept.document_id])),
        index.DropIndex(messages.DropIndexRequest(index_name=name, fence=4)),
    ]
    assert [await refusal(call) for call in late] == [_FENCED] * 4
    assert await _stats(index, name) == (1, 5)
    await index.FenceIndex(messages.FenceIndexRequest(index_name=name, fence=5))
    await _upsert(index, name, kept, fence=6)


async def test_old_versions_are_deleted_and_then_all(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """Of the documents named, and of no other; again is no error."""
    document, other = str(uuid.uuid4()), str(uuid.uuid4())
    await _upsert(index, name, *(chunk(each, 0, content_version=version) for each in (document, other) for version in (1, 2, 3)))
    request = messages.DeleteChunksRequest(index_name=name, fence=5, document_ids=[document], keep_from_version=3)
    for _ in range(2):
        await index.DeleteChunks(request)
        found = sorted((point.document_id == document, point.content_version) for point in await _points(index, name))
        assert found == [(False, 1), (False, 2), (False, 3), (True, 3)]
    await index.DeleteChunks(messages.DeleteChunksRequest(index_name=name, fence=5, document_ids=[document]))
    assert {point.document_id for point in await _points(index, name)} == {other}


async def test_documents_are_hidden_by_id_or_by_source(
    index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal
) -> None:
    """Without a fence, and an index that is missing has nothing to hide."""
    source = str(uuid.uuid4())
    first, second, third = chunk(), chunk(source_id=source), chunk()
    await _upsert(index, name, first, second, third)
    await index.HideDocuments(messages.HideDocumentsRequest(index_name=name, document_ids=[first.document_id]))
    await index.HideDocuments(messages.HideDocumentsRequest(index_name=name, source_id=source))
    hidden = {point.document_id for point in await _points(index, name) if point.hidden}
    assert hidden == {first.document_id, second.document_id}
    await index.HideDocuments(messages.HideDocumentsRequest(index_name="missing", source_id=source))
    for both_or_none in ({}, {"source_id": source, "document_ids": [first.document_id]}):
        request = messages.HideDocumentsRequest(index_name=name, **both_or_none)  # type: ignore[arg-type]
        assert await refusal(index.HideDocuments(request)) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.mark.parametrize("vector", [[float("nan"), 0, 0, 1], [float("inf"), 0, 0, 1], [0, 0, 0, 0], [1, 0, 0], [1, 0, 0, 0, 0]])
async def test_a_bad_vector_is_never_stored(
    index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal, vector: list[float]
) -> None:
    """NaN, infinity, nothing but zeros, the wrong length; and nothing that came with it."""
    assert await refusal(_upsert(index, name, chunk(), chunk(vector=vector))) == _BAD_VECTOR
    assert await _stats(index, name) == (0, 5)


async def test_a_vector_is_whole_numbers_of_bytes(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal) -> None:
    """Four bytes a number."""
    broken = chunk()
    broken.vector = broken.vector[:-1]
    assert await refusal(_upsert(index, name, broken)) == _BAD_VECTOR


async def test_a_call_takes_64_chunks(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal) -> None:
    """And not one more."""
    chunks = [chunk() for _ in range(65)]
    assert await refusal(_upsert(index, name, *chunks)) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    await _upsert(index, name, *chunks[:64])
    assert await _stats(index, name) == (64, 5)


async def test_a_long_index_is_listed_in_pages(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """Every point once, the fence never."""
    for start in range(0, 1024, 64):
        await _upsert(index, name, *(chunk("00000000-0000-4000-8000-000000000001", start + number) for number in range(64)))
    assert sorted(point.ordinal for point in await _points(index, name)) == list(range(1024))


async def test_a_missing_index_is_said_to_be(index: "IndexInternalServiceAsyncStub", chunk: Make, refusal: Refusal) -> None:
    """Dropping it is done already; everything else needs it."""
    name = "missing"
    calls: list[Awaitable[object]] = [
        index.FenceIndex(messages.FenceIndexRequest(index_name=name, fence=1)),
        index.UpsertChunks(messages.UpsertChunksRequest(index_name=name, fence=1, chunks=[chunk()])),
        index.DeleteChunks(messages.DeleteChunksRequest(index_name=name, fence=1, document_ids=[str(uuid.uuid4())])),
        index.GetIndexStats(messages.GetIndexStatsRequest(index_name=name)),
        _points(index, name),
    ]
    assert [await refusal(call) for call in calls] == [_NO_INDEX] * len(calls)
    await index.DropIndex(messages.DropIndexRequest(index_name=name, fence=1))


async def test_a_dropped_index_is_gone_and_may_come_back(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """Empty and without a fence."""
    await _upsert(index, name, chunk())
    await index.DropIndex(messages.DropIndexRequest(index_name=name, fence=5))
    assert (await index.CreateIndex(messages.CreateIndexRequest(index_name=name, dimension=4))).is_new
    assert await _stats(index, name) == (0, 0)


async def test_a_user_is_not_a_peer(port_of: Callable[[str], int], ada: Person, refusal: Refusal) -> None:
    """A user's token opens no internal service."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port_of('search')}") as channel:
        call = IndexInternalServiceStub(channel).GetIndexStats(
            messages.GetIndexStatsRequest(index_name="any"), metadata=(("authorization", f"Bearer {ada.token}"),)
        )
        assert await refusal(call) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


@pytest.fixture
async def replicas(mesh: Mesh, port_of: Callable[[str], int]) -> AsyncIterator[list[Indexes]]:
    """Two replicas of the service, which share nothing but Qdrant."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        client = AsyncQdrantClient(
            host="127.0.0.1",
            grpc_port=port_of("qdrant"),
            prefer_grpc=True,
            https=False,
            check_compatibility=False,
            api_key=mesh.home.secret("qdrant-api-key"),
        )
    yield [Indexes(client), Indexes(client)]
    await client.close()


async def test_replicas_cannot_lower_each_others_fence(name: str, replicas: list[Indexes]) -> None:
    """Whatever order they come in, the fence ends at the highest, and who lost is told."""
    fences = random.Random(3).sample(range(10, 60), 50)  # noqa: S311 - no secret, only spread
    ends = await asyncio.gather(*(replicas[number % 2].fence(name, fence) for number, fence in enumerate(fences)), return_exceptions=True)
    assert (await replicas[0].stats(name)).fence == 59
    assert {type(end) for end in ends} <= {type(None), Failure}
    assert ends[fences.index(59)] is None


async def test_a_write_ends_even_if_its_caller_is_gone(name: str, replicas: list[Indexes], chunk: Make) -> None:
    """So nothing that comes later under the lock is overtaken by it."""
    indexes = replicas[0]
    writing = asyncio.create_task(indexes.upsert(name, 5, [chunk()]))
    await asyncio.sleep(0)
    writing.cancel()
    await indexes.fence(name, 6)
    assert (await indexes.stats(name)).point_count in (0, 1)
    before = (await indexes.stats(name)).point_count
    with pytest.raises(Failure):
        await indexes.upsert(name, 5, [chunk()])
    assert (await indexes.stats(name)).point_count == before
