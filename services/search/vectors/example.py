"""A document or one of its passages as the example of a search: its stored vectors and texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.search import conditions
from services.search.passage import DENSE, DOCUMENT, HIDDEN, PUBLISHED, TEXT, VERSION, is_published, passage, point_id, selector
from services.search.qdrant import Qdrant, is_missing, q

# A document of more passages is known by these: which they are follows from their ids, which are hashes.
_PASSAGES = 64
_PAYLOAD = selector(TEXT, VERSION, HIDDEN)
_VECTOR = q.WithVectorsSelector(include=q.VectorsSelector(names=[DENSE]))


@dataclass(frozen=True)
class Example:
    """The mean direction of the passages, as little-endian 32-bit floats of length 1, and their texts."""

    vector: bytes
    texts: Sequence[str]


async def example(qdrant: Qdrant, index_name: str, document_id: str, ordinal: int | None) -> Example:
    """Return the example that a document is, or its passage ``ordinal``; raises CHUNK_NOT_FOUND where that is not in the index."""
    published = [conditions.equals(DOCUMENT, document_id), conditions.equals(HIDDEN, PUBLISHED)]
    scroll = q.ScrollPoints(
        collection_name=index_name,
        filter=conditions.all_of(*published),
        limit=_PASSAGES if ordinal is None else 1,
        with_payload=_PAYLOAD,
        with_vectors=_VECTOR,
    )
    found = await _found(qdrant, "Scroll", scroll)
    if found and ordinal is not None:
        identifier = point_id(index_name, document_id, found[0].payload[VERSION].integer_value, ordinal)
        get = q.GetPoints(collection_name=index_name, ids=[q.PointId(uuid=identifier)], with_payload=_PAYLOAD, with_vectors=_VECTOR)
        found = [point for point in await _found(qdrant, "Get", get) if is_published(point.payload)]
    if not found:
        raise _not_found(document_id, ordinal)
    return Example(mean(_vector(point) for point in found), [passage(point.payload).text for point in found])


def mean(vectors: Iterable[bytes]) -> bytes:
    """Return the mean direction of vectors of little-endian 32-bit floats."""
    rows = np.stack([np.frombuffer(vector, "<f4") for vector in vectors])
    total = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).sum(axis=0)
    return bytes((total / max(float(np.linalg.norm(total)), np.finfo(np.float32).tiny)).astype("<f4").tobytes())


def _vector(point: Any) -> bytes:
    output = point.vectors.vectors.vectors[DENSE]
    # Servers before 1.16 answer in the flat field.
    return np.asarray(output.dense.data or output.data, "<f4").tobytes()


async def _found(qdrant: Qdrant, method: str, request: Any) -> list[Any]:
    try:
        return list((await qdrant.points(method, request)).result)
    except Failure as failure:
        if is_missing(failure):
            return []
        raise


def _not_found(document_id: str, ordinal: int | None) -> Failure:
    reason = ErrorReason.ERROR_REASON_CHUNK_NOT_FOUND
    if ordinal is None:
        return Failure(StatusCode.NOT_FOUND, reason, f"no passage of document {document_id} is indexed", {"document_id": document_id})
    metadata = {"document_id": document_id, "ordinal": str(ordinal)}
    return Failure(StatusCode.NOT_FOUND, reason, f"document {document_id} has no indexed passage {ordinal}", metadata)
