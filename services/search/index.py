"""One index in Qdrant: how it is made, written and read. Nothing else knows Qdrant's collections."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
from grpc import StatusCode
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from libs.rpc.errors import Failure
from libs.rpc.timestamps import moment
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1 import index_internal_service_pb2 as messages

DENSE = "dense"
TEXT = "text"
# A number, because not every engine that speaks the protocol can match a boolean.
HIDDEN = 1
_NAMESPACE = uuid.UUID("6f0f9d0c-6f5b-5c8e-9a53-7c1f5f5d1a10")
_KEYWORDS = ("document_id", "source_id", "mime_type", "path")
_PAGE = 1000
# Everything but the fence belongs to a document.
_CHUNKS = q.Filter(must_not=[q.IsEmptyCondition(is_empty=q.PayloadField(key="document_id"))])


def point_id(index_name: str, document_id: str, content_version: int, ordinal: int) -> str:
    """Return a chunk's id: UUIDv5 of generation (its index's name), document, content version and ordinal."""
    return str(uuid.uuid5(_NAMESPACE, f"{index_name}/{document_id}/{content_version}/{ordinal}"))


@dataclass(frozen=True)
class Stats:
    point_count: int
    fence: int


class Indexes:
    """Writes carry a fence, kept in the index as a point without a vector.

    Check and write happen under one lock, so within a replica a late writer never passes. Between replicas a write that
    began before the fence rose may end after it; it then writes points whose ids and content follow from the document's
    version, so it can only repeat what is there or leave a version that the commit in Postgres refuses and the next
    delete or the reconciler removes.
    """

    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def create(self, name: str, dimension: int) -> bool:
        """Create the index with its payload indexes; False if it was there."""
        async with self._locks[name]:
            if await self._client.collection_exists(name):
                await self._check_dimension(name, dimension)
                # A creation that was cut off half-way is completed: each step is idempotent.
                await self._create_payload_indexes(name)
                return False
            vectors = {DENSE: q.VectorParams(size=dimension, distance=q.Distance.COSINE)}
            hnsw = q.HnswConfigDiff(m=16, ef_construct=512)
            await self._client.create_collection(name, vectors_config=vectors, hnsw_config=hnsw, on_disk_payload=True)
            await self._create_payload_indexes(name)
            return True

    async def _create_payload_indexes(self, name: str) -> None:
        text = q.TextIndexParams(
            type=q.TextIndexType.TEXT,
            tokenizer=q.TokenizerType.WORD,
            lowercase=True,
            scoring=q.TextScoringParams(type=q.TextScoringType.BM25),
        )
        for field in _KEYWORDS:
            await self._client.create_payload_index(name, field, q.PayloadSchemaType.KEYWORD, wait=True)
        await self._client.create_payload_index(name, "hidden", q.PayloadSchemaType.INTEGER, wait=True)
        await self._client.create_payload_index(name, "content_version", q.PayloadSchemaType.INTEGER, wait=True)
        await self._client.create_payload_index(name, TEXT, text, wait=True)

    async def _check_dimension(self, name: str, dimension: int) -> None:
        vectors = (await self._client.get_collection(name)).config.params.vectors
        found = vectors[DENSE].size if isinstance(vectors, dict) else 0
        if found != dimension:
            raise _vector_invalid(f"the index has vectors of {found} numbers, not {dimension}")

    async def fence(self, name: str, fence: int) -> None:
        """Raise the fence of an index; from now on lower ones are refused."""
        async with self._locks[name]:
            if await self._checked(name, fence) < fence:
                point = q.PointStruct(id=_fence_id(name), vector={}, payload={"fence": fence, "hidden": HIDDEN})
                await self._client.upsert(name, [point], wait=True)

    async def upsert(self, name: str, fence: int, chunks: Sequence[messages.Chunk]) -> None:
        """Write chunks; the engine has them durably when this returns."""
        points = [_point(name, chunk) for chunk in chunks]
        async with self._locks[name]:
            await self._checked(name, fence)
            try:
                await self._client.upsert(name, points, wait=True)
            except grpc.aio.AioRpcError as error:
                if error.code() is StatusCode.INVALID_ARGUMENT:
                    raise _vector_invalid("a vector does not fit the index") from error
                raise

    async def hide(self, name: str, document_ids: Sequence[str], source_id: str) -> None:
        """Hide documents, or all of a source; a missing index has nothing to hide."""
        field, values = ("document_id", list(document_ids)) if document_ids else ("source_id", [source_id])
        chosen = q.Filter(must=[q.FieldCondition(key=field, match=q.MatchAny(any=values))])
        try:
            await self._client.set_payload(name, {"hidden": HIDDEN}, points=chosen, wait=True)
        except grpc.aio.AioRpcError as error:
            if error.code() is not StatusCode.NOT_FOUND:
                raise

    async def delete(self, name: str, fence: int, document_ids: Sequence[str], keep_from_version: int) -> None:
        """Delete chunks of documents: all, or those older than a content version."""
        must: list[q.Condition] = [q.FieldCondition(key="document_id", match=q.MatchAny(any=list(document_ids)))]
        if keep_from_version:
            must.append(q.FieldCondition(key="content_version", range=q.Range(lt=keep_from_version)))
        async with self._locks[name]:
            await self._checked(name, fence)
            await self._client.delete(name, points_selector=q.FilterSelector(filter=q.Filter(must=must)), wait=True)

    async def drop(self, name: str, fence: int) -> None:
        """Drop an index; one that is missing is dropped already."""
        async with self._locks[name]:
            if await self._client.collection_exists(name):
                await self._checked(name, fence)
                await self._client.delete_collection(name)

    async def stats(self, name: str) -> Stats:
        fence = await self._fence(name)
        counted = await self._client.count(name, count_filter=_CHUNKS, exact=True)
        return Stats(counted.count, fence)

    async def points(self, name: str) -> AsyncIterator[list[messages.ListPointsResponse.Point]]:
        """Yield every chunk's point in pages, without vector and text."""
        offset: Any = None
        fields = ["document_id", "content_version", "ordinal", "hidden"]
        while True:
            try:
                records, offset = await self._client.scroll(name, scroll_filter=_CHUNKS, limit=_PAGE, offset=offset, with_payload=fields)
            except grpc.aio.AioRpcError as error:
                raise _translated(error, name) from error
            yield [_listed(record) for record in records]
            if offset is None:
                return

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
        try:
            found = await self._client.retrieve(name, [_fence_id(name)], with_payload=True)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, name) from error
        return int(found[0].payload["fence"]) if found and found[0].payload else 0


def _fence_id(name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{name}/fence"))


def _translated(error: grpc.aio.AioRpcError, name: str) -> Exception:
    if error.code() is StatusCode.NOT_FOUND:
        return Failure(StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_INDEX_NOT_FOUND, f"index {name} does not exist", {"index_name": name})
    return error


def _vector_invalid(message: str) -> Failure:
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_VECTOR_INVALID, message)


def _point(name: str, chunk: messages.Chunk) -> q.PointStruct:
    payload: dict[str, str | int] = {
        "document_id": chunk.document_id,
        "source_id": chunk.source_id,
        "content_version": chunk.content_version,
        "ordinal": chunk.ordinal,
        "text": chunk.text,
        "start_offset": chunk.start_offset,
        "end_offset": chunk.end_offset,
        "path": chunk.path,
        "name": chunk.name,
        "mime_type": chunk.mime_type,
        "language": chunk.language,
        "size_bytes": chunk.size_bytes,
        "page": chunk.page,
        "section": chunk.section,
        "hidden": 0,
    }
    if chunk.HasField("modify_time"):
        payload["modify_time"] = moment(chunk.modify_time).isoformat()
    identifier = point_id(name, chunk.document_id, chunk.content_version, chunk.ordinal)
    return q.PointStruct(id=identifier, vector={DENSE: _vector(chunk.vector)}, payload=payload)


def _vector(raw: bytes) -> list[float]:
    if len(raw) % 4:
        raise _vector_invalid("a vector is a row of 32-bit floats")
    vector = np.frombuffer(raw, "<f4")
    if not np.all(np.isfinite(vector)) or not vector.any():
        raise _vector_invalid("a vector holds NaN, infinity or nothing but zeros")
    values: list[float] = vector.tolist()
    return values


def _listed(record: q.Record) -> messages.ListPointsResponse.Point:
    payload = record.payload or {}
    return messages.ListPointsResponse.Point(
        id=str(record.id),
        document_id=payload["document_id"],
        content_version=payload["content_version"],
        ordinal=payload["ordinal"],
        hidden=bool(payload.get("hidden")),
    )
