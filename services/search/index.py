"""One index in Qdrant: how it is made, written and read. Nothing else knows Qdrant's collections."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from grpc import StatusCode
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1 import index_internal_service_pb2 as messages
from services.search.points import DENSE, HIDDEN, LISTED, TEXT, chunk_point, fence_id, listed, vector_invalid

_TEXT_INDEX = q.TextIndexParams(
    type=q.TextIndexType.TEXT,
    tokenizer=q.TokenizerType.WORD,
    lowercase=True,
    scoring=q.TextScoringParams(type=q.TextScoringType.BM25),
)
_PAYLOAD_INDEXES: dict[str, q.PayloadSchemaType | q.TextIndexParams] = {
    **dict.fromkeys(("document_id", "source_id", "mime_type", "path"), q.PayloadSchemaType.KEYWORD),
    **dict.fromkeys(("hidden", "content_version"), q.PayloadSchemaType.INTEGER),
    TEXT: _TEXT_INDEX,
}
_PAGE = 1000
_FULL_RETRY_SECONDS = 10.0
# HNSW past 20,000 kB of vectors in a segment, vectors on disk past 50,000 kB.
_OPTIMIZERS = q.OptimizersConfigDiff(indexing_threshold=20_000, memmap_threshold=50_000)
# Everything but the fence belongs to a document.
_CHUNKS = q.Filter(must_not=[q.IsEmptyCondition(is_empty=q.PayloadField(key="document_id"))])


_T = TypeVar("_T")


@dataclass(frozen=True)
class Stats:
    point_count: int
    fence: int


class Indexes:
    """Writes carry a fence, kept in the index as a point without a vector.

    The fence only ever rises: Qdrant itself compares before it overwrites, so replicas cannot undo each other. Check and
    write happen under one lock, held until Qdrant has answered even if the caller is gone, so within a replica a late writer
    never passes. Between replicas a write that began before the fence rose may end after it; its ids and content follow from
    the document's version, so it repeats what is there or leaves a version that the commit in Postgres refuses and the next
    delete or the reconciler removes.
    """

    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def create(self, name: str, dimension: int) -> bool:
        """Create the index with its payload indexes; False if it was there."""

        async def work() -> bool:
            is_new = not await self._client.collection_exists(name) and await self._make(name, dimension)
            info = await self._client.get_collection(name)
            vectors = info.config.params.vectors
            found = vectors[DENSE].size if isinstance(vectors, dict) else 0
            if found != dimension:
                raise vector_invalid(f"the index has vectors of {found} numbers, not {dimension}")
            # Before the first point, and also where a creation was cut off half-way.
            for field, kind in _PAYLOAD_INDEXES.items():
                if field not in info.payload_schema:
                    await self._client.create_payload_index(name, field, kind, wait=True)
            return is_new

        return await self._alone(name, work)

    async def _make(self, name: str, dimension: int) -> bool:
        vectors = {DENSE: q.VectorParams(size=dimension, distance=q.Distance.COSINE)}
        hnsw = q.HnswConfigDiff(m=16, ef_construct=512)
        try:
            await self._client.create_collection(name, vectors, hnsw_config=hnsw, optimizers_config=_OPTIMIZERS, on_disk_payload=True)
        except grpc.aio.AioRpcError as error:
            if error.code() is not StatusCode.ALREADY_EXISTS:
                raise
            return False  # another replica was quicker
        return True

    async def fence(self, name: str, fence: int) -> None:
        """Raise the fence of an index; from now on lower ones are refused."""

        async def work() -> None:
            if await self._checked(name, fence) < fence:
                point = q.PointStruct(id=fence_id(name), vector={}, payload={"fence": fence, "hidden": HIDDEN})
                lower = q.Filter(must=[q.FieldCondition(key="fence", range=q.Range(lt=fence))])
                await self._client.upsert(name, [point], update_filter=lower, wait=True)
                await self._checked(name, fence)

        await self._alone(name, work)

    async def upsert(self, name: str, fence: int, chunks: Sequence[messages.Chunk]) -> None:
        """Write chunks; the engine has them durably when this returns."""
        points = [chunk_point(name, chunk) for chunk in chunks]

        async def work() -> None:
            await self._checked(name, fence)
            try:
                await self._client.upsert(name, points, wait=True)
            except grpc.aio.AioRpcError as error:
                if error.code() is StatusCode.INVALID_ARGUMENT:
                    raise vector_invalid("a vector does not fit the index") from error
                raise

        await self._alone(name, work)

    async def hide(self, name: str, document_ids: Sequence[str], source_id: str) -> None:
        """Hide documents, or all of a source; a missing index has nothing to hide."""
        field, values = ("document_id", list(document_ids)) if document_ids else ("source_id", [source_id])
        chosen = q.Filter(must=[q.FieldCondition(key=field, match=q.MatchAny(any=values))])

        async def work() -> None:
            try:
                await self._client.set_payload(name, {"hidden": HIDDEN}, points=chosen, wait=True)
            except grpc.aio.AioRpcError as error:
                if error.code() is not StatusCode.NOT_FOUND:
                    raise

        await self._alone(name, work)

    async def delete(self, name: str, fence: int, document_ids: Sequence[str], keep_from: int, keep_below: int) -> None:
        """Delete chunks of documents, but for content versions from ``keep_from`` on and below ``keep_below``; 0 sets no bound."""
        must: list[q.Condition] = [q.FieldCondition(key="document_id", match=q.MatchAny(any=list(document_ids)))]
        if keep_from or keep_below:
            versions = q.Range(lt=keep_from or None, gte=keep_below or None)
            must.append(q.FieldCondition(key="content_version", range=versions))

        async def work() -> None:
            await self._checked(name, fence)
            await self._client.delete(name, points_selector=q.FilterSelector(filter=q.Filter(must=must)), wait=True)

        await self._alone(name, work)

    async def drop(self, name: str, fence: int) -> None:
        """Drop an index; one that is missing is dropped already."""

        async def work() -> None:
            if await self._client.collection_exists(name):
                await self._checked(name, fence)
                await self._client.delete_collection(name)

        await self._alone(name, work)

    async def stats(self, name: str) -> Stats:
        with _translated(name):
            fence = await self._fence(name)
            counted = await self._client.count(name, count_filter=_CHUNKS, exact=True)
        return Stats(counted.count, fence)

    async def points(self, name: str) -> AsyncIterator[list[messages.ListPointsResponse.Point]]:
        """Yield every chunk's point in pages, without vector and text."""
        offset: Any = None
        while True:
            with _translated(name):
                records, offset = await self._client.scroll(name, scroll_filter=_CHUNKS, limit=_PAGE, offset=offset, with_payload=LISTED)
            yield [listed(record) for record in records]
            if offset is None:
                return

    async def _alone(self, name: str, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a write while no other writes to the index; it goes on to its end when the caller is cancelled."""

        async def guarded() -> _T:
            async with self._locks[name]:
                with _translated(name):
                    return await work()

        task = asyncio.create_task(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where nobody waits for it any more

    async def _checked(self, name: str, fence: int) -> int:
        """Return the fence of the index; raises FENCED if ``fence`` is lower."""
        current = await self._fence(name)
        if fence < current:
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_FENCED,
                f"a newer claim ({current}) has taken over from {fence}",
                {"fence": str(current)},
            )
        return current

    async def _fence(self, name: str) -> int:
        found = await self._client.retrieve(name, [fence_id(name)], with_payload=True)
        return int(found[0].payload["fence"]) if found and found[0].payload else 0


@contextmanager
def _translated(name: str) -> Iterator[None]:
    """Say in our words what Qdrant says of an index that is missing or a disk that is full."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() is StatusCode.NOT_FOUND:
            message, reason = f"index {name} does not exist", ErrorReason.ERROR_REASON_INDEX_NOT_FOUND
            raise Failure(StatusCode.NOT_FOUND, reason, message, {"index_name": name}) from error
        if error.code() is StatusCode.RESOURCE_EXHAUSTED:
            reason = ErrorReason.ERROR_REASON_DEPENDENCY_UNAVAILABLE
            raise Failure(
                StatusCode.UNAVAILABLE, reason, "the vector store is full", {"dependency": "qdrant"}, retry_after=_FULL_RETRY_SECONDS
            ) from error
        raise
