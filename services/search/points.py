"""A chunk as Qdrant's point: its id, its payload, its vector."""

import uuid

import numpy as np
from grpc import StatusCode
from qdrant_client import models as q

from libs.rpc.errors import Failure
from libs.rpc.timestamps import moment
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1 import index_internal_service_pb2 as messages

DENSE = "dense"
TEXT = "text"
# A number, because not every engine that speaks the protocol can match a boolean.
HIDDEN = 1
LISTED = ["document_id", "content_version", "ordinal", "hidden"]
_NAMESPACE = uuid.UUID("6f0f9d0c-6f5b-5c8e-9a53-7c1f5f5d1a10")


def point_id(index_name: str, document_id: str, content_version: int, ordinal: int) -> str:
    """Return a chunk's id: UUIDv5 of generation (its index's name), document, content version and ordinal."""
    return str(uuid.uuid5(_NAMESPACE, f"{index_name}/{document_id}/{content_version}/{ordinal}"))


def fence_id(index_name: str) -> str:
    """Return the id of the point that holds an index's fence."""
    return str(uuid.uuid5(_NAMESPACE, f"{index_name}/fence"))


def vector_invalid(message: str) -> Failure:
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_VECTOR_INVALID, message)


def chunk_point(name: str, chunk: messages.Chunk) -> q.PointStruct:
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
        raise vector_invalid("a vector is a row of 32-bit floats")
    vector = np.frombuffer(raw, "<f4")
    if not np.all(np.isfinite(vector)) or not vector.any():
        raise vector_invalid("a vector holds NaN, infinity or nothing but zeros")
    values: list[float] = vector.tolist()
    return values


def listed(record: q.Record) -> messages.ListPointsResponse.Point:
    payload = record.payload or {}
    return messages.ListPointsResponse.Point(
        id=str(record.id),
        document_id=payload["document_id"],
        content_version=payload["content_version"],
        ordinal=payload["ordinal"],
        visibility=messages.ListPointsResponse.VISIBILITY_HIDDEN
        if payload.get("hidden")
        else messages.ListPointsResponse.VISIBILITY_PUBLISHED,
    )
