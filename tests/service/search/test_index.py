"""The worker's side: an index is made once, written under a fence, and holds exactly what was written."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from semantik.search.v1.index_pb2 import Chunk, DocumentVersion, Point
from services.search.index.indexes import Indexes
from services.search.passage import point_id
from tests.conftest import Person

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

Refusal = Callable[[Awaitable[object]], Awaitable[tuple[StatusCode, str]]]
Make = Callable[..., Chunk]
_FENCED = (StatusCode.FAILED_PRECONDITION, "FENCED")
_NO_INDEX = (StatusCode.NOT_FOUND, "INDEX_NOT_FOUND")
_BAD_VECTOR = (StatusCode.INVALID_ARGUMENT, "VECTOR_INVALID")


async def _points(index: "IndexInternalServiceAsyncStub", name: str) -> list[Point]:
    return [point async for page in index.ListPoints(messages.ListPointsRequest(index_name=name)) for point in page.points]


async def _stats(index: "IndexInternalServiceAsyncStub", name: str) -> tuple[int, int]:
    stats = await index.GetIndexStats(messages.GetIndexStatsRequest(index_name=name))
    return stats.point_count, stats.fence


async def _visibilities(index: "IndexInternalServiceAsyncStub", name: str) -> dict[str, list[tuple[int, int]]]:
    """Return version and visibility of each document's points."""
    points = await _points(index, name)
    documents = {point.document_id for point in points}
    return {each: sorted((point.content_version, point.visibility) for point in points if point.document_id == each) for each in documents}


def _version(chunk: Chunk) -> DocumentVersion:
    return DocumentVersion(document_id=chunk.document_id, content_version=chunk.content_version)


async def _publish(index: "IndexInternalServiceAsyncStub", name: str, *chunks: Chunk) -> None:
    documents = [_version(chunk) for chunk in chunks]
    await index.PublishDocuments(messages.PublishDocumentsRequest(index_name=name, fence=5, documents=documents))


async def _upsert(index: "IndexInternalServiceAsyncStub", name: str, *chunks: Chunk, fence: int = 5) -> None:
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
    points = {(point.id, point.document_id, point.content_version, point.ordinal) for point in await _points(index, name)}
    assert points == {
        (point_id(name, document, version, ordinal), document, version, ordinal) for version, ordinal in ((1, 0), (1, 1), (2, 0))
    }
    assert await _stats(index, name) == (3, 5)


async def test_a_late_writer_is_refused(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal) -> None:
    """Every write under a lower fence, whatever it is; the same fence and higher ones pass."""
    kept = chunk()
    await _upsert(index, name, kept)
    late: list[Awaitable[object]] = [
        index.FenceIndex(messages.FenceIndexRequest(index_name=name, fence=4)),
        index.UpsertChunks(messages.UpsertChunksRequest(index_name=name, fence=4, chunks=[chunk()])),
        index.PublishDocuments(messages.PublishDocumentsRequest(index_name=name, fence=4, documents=[_version(kept)])),
        index.DeleteChunks(messages.DeleteChunksRequest(index_name=name, fence=4, document_ids=[kept.document_id])),
        index.DropIndex(messages.DropIndexRequest(index_name=name, fence=4)),
    ]
    assert [await refusal(call) for call in late] == [_FENCED] * 5
    assert await _stats(index, name) == (1, 5)
    assert await _visibilities(index, name) == {_version(kept).document_id: [(1, Point.VISIBILITY_UNPUBLISHED)]}
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


async def test_one_version_is_deleted_alone(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """What was written and not committed goes; the contents before it and after it stay."""
    document = str(uuid.uuid4())
    await _upsert(index, name, *(chunk(document, 0, content_version=version) for version in (1, 2, 3)))
    request = messages.DeleteChunksRequest(index_name=name, fence=5, document_ids=[document], keep_from_version=3, keep_below_version=2)
    await index.DeleteChunks(request)
    assert sorted(point.content_version for point in await _points(index, name)) == [1, 3]


async def test_a_document_is_published_with_its_version_alone(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """Its earlier versions are deleted, a later one waits; of documents with different versions in one call, each its own."""
    old, new, later = (chunk("00000000-0000-4000-8000-000000000001", content_version=version) for version in (1, 2, 3))
    first, waiting = chunk(), chunk()
    await _upsert(index, name, old, first, waiting)
    await _publish(index, name, old)
    await _upsert(index, name, new, later)
    for _ in range(2):
        await _publish(index, name, new, first)
        assert await _visibilities(index, name) == {
            new.document_id: [(2, Point.VISIBILITY_PUBLISHED), (3, Point.VISIBILITY_UNPUBLISHED)],
            first.document_id: [(1, Point.VISIBILITY_PUBLISHED)],
            waiting.document_id: [(1, Point.VISIBILITY_UNPUBLISHED)],
        }


async def test_a_hide_ends_at_its_version(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """What was uploaded again under the same id is another version, and is published whatever happened to the one before."""
    old, new = (chunk("00000000-0000-4000-8000-000000000001", content_version=version) for version in (1, 2))
    await _upsert(index, name, old, new)
    await index.HideDocuments(messages.HideDocumentsRequest(index_name=name, documents=[_version(old)]))
    assert await _visibilities(index, name) == {old.document_id: [(1, Point.VISIBILITY_HIDDEN), (2, Point.VISIBILITY_UNPUBLISHED)]}
    await _publish(index, name, new)
    await index.HideDocuments(messages.HideDocumentsRequest(index_name=name, documents=[_version(old)]))
    assert await _visibilities(index, name) == {old.document_id: [(2, Point.VISIBILITY_PUBLISHED)]}


async def test_what_is_written_again_waits_again_but_stays_hidden(index: "IndexInternalServiceAsyncStub", name: str, chunk: Make) -> None:
    """An upsert that arrives late shows nothing."""
    published, hidden = chunk(), chunk()
    await _upsert(index, name, published, hidden)
    await _publish(index, name, published, hidden)
    await index.HideDocuments(messages.HideDocumentsRequest(index_name=name, documents=[_version(hidden)]))
    await _upsert(index, name, published, hidden)
    await _publish(index, name, hidden)
    assert await _visibilities(index, name) == {
        published.document_id: [(1, Point.VISIBILITY_UNPUBLISHED)],
        hidden.document_id: [(1, Point.VISIBILITY_HIDDEN)],
    }


async def test_indexes_are_listed(index: "IndexInternalServiceAsyncStub", name: str) -> None:
    """By name, those that are there."""
    names = list((await index.ListIndexes(messages.ListIndexesRequest())).index_names)
    assert name in names
    assert names == sorted(names)
    await index.DropIndex(messages.DropIndexRequest(index_name=name, fence=5))
    assert name not in (await index.ListIndexes(messages.ListIndexesRequest())).index_names


async def test_documents_are_hidden_by_id_or_by_source(
    index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal
) -> None:
    """Without a fence, and an index that is missing has nothing to hide."""
    source = str(uuid.uuid4())
    first, second, third = chunk(), chunk(source_id=source), chunk()
    await _upsert(index, name, first, second, third)
    await index.HideDocuments(messages.HideDocumentsRequest(index_name=name, documents=[_version(first)]))
    await index.HideDocuments(messages.HideDocumentsRequest(index_name=name, source_id=source))
    await _publish(index, name, first, second, third)
    assert await _visibilities(index, name) == {
        first.document_id: [(1, Point.VISIBILITY_HIDDEN)],
        second.document_id: [(1, Point.VISIBILITY_HIDDEN)],
        third.document_id: [(1, Point.VISIBILITY_PUBLISHED)],
    }
    await index.HideDocuments(messages.HideDocumentsRequest(index_name="missing", source_id=source))
    for both_or_none in ({}, {"source_id": source, "documents": [_version(first)]}):
        request = messages.HideDocumentsRequest(index_name=name, **both_or_none)  # type: ignore[arg-type]
        assert await refusal(index.HideDocuments(request)) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.mark.abuse(19)
@pytest.mark.parametrize("vector", [[float("nan"), 0, 0, 1], [float("inf"), 0, 0, 1], [0, 0, 0, 0], [1, 0, 0], [1, 0, 0, 0, 0]])
async def test_a_bad_vector_is_never_stored(
    index: "IndexInternalServiceAsyncStub", name: str, chunk: Make, refusal: Refusal, vector: list[float]
) -> None:
    """NaN, infinity, nothing but zeros, the wrong length; and nothing that came with it."""
    assert await refusal(_upsert(index, name, chunk(), chunk(vector=vector))) == _BAD_VECTOR
    assert await _stats(index, name) == (0, 5)


@pytest.mark.abuse(19)
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
        index.PublishDocuments(messages.PublishDocumentsRequest(index_name=name, fence=1, documents=[_version(chunk())])),
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


@pytest.mark.abuse(10)
async def test_a_user_is_not_a_peer(port_of: Callable[[str], int], ada: Person, refusal: Refusal) -> None:
    """A user's token opens no internal service."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port_of('search')}") as channel:
        call = IndexInternalServiceStub(channel).GetIndexStats(
            messages.GetIndexStatsRequest(index_name="any"), metadata=(("authorization", f"Bearer {ada.token}"),)
        )
        assert await refusal(call) == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def test_replicas_cannot_lower_each_others_fence(name: str, replicas: list[Indexes]) -> None:
    """Whatever order they come in, the fence ends at the highest, and who lost is told."""
    fences = random.Random(3).sample(range(10, 60), 50)  # noqa: S311 - no secret, only spread
    ends = await asyncio.gather(
        *(replicas[number % 2].raise_fence(name, fence) for number, fence in enumerate(fences)), return_exceptions=True
    )
    assert (await replicas[0].stats(name)).fence == 59
    assert {type(end) for end in ends} <= {type(None), Failure}
    assert ends[fences.index(59)] is None


async def test_a_write_ends_even_if_its_caller_is_gone(name: str, replicas: list[Indexes], chunk: Make) -> None:
    """So nothing that comes later under the lock is overtaken by it."""
    indexes = replicas[0]
    writing = asyncio.create_task(indexes.upsert(name, 5, [chunk()]))
    await asyncio.sleep(0)
    writing.cancel()
    await indexes.raise_fence(name, 6)
    assert (await indexes.stats(name)).point_count in (0, 1)
    before = (await indexes.stats(name)).point_count
    with pytest.raises(Failure):
        await indexes.upsert(name, 5, [chunk()])
    assert (await indexes.stats(name)).point_count == before
