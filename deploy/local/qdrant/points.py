"""Qdrant's Points service over the embedded engine."""

import time
from collections.abc import Sequence
from typing import Any

import grpc
import qdrant_edge as edge

from deploy.local.qdrant.filters import engine_filter, optional_filter
from deploy.local.qdrant.payload_indexes import payload_schema
from deploy.local.qdrant.protocol import messages as q
from deploy.local.qdrant.queries import engine_query, with_payload, with_vectors
from deploy.local.qdrant.shards import Shards
from deploy.local.qdrant.values import (
    RefusedError,
    id_message,
    only,
    payload,
    payload_message,
    point_id,
    vectors,
    vectors_message,
)

_SCROLL_LIMIT = _FACET_LIMIT = 10
_WRITE = ("collection_name", "wait", "ordering", "timeout")
_READ = ("collection_name", "with_payload", "with_vectors", "timeout", "read_consistency")


class Points(q.PointsServicer):  # type: ignore[misc]
    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._sequence = 0

    async def Upsert(self, request: Any, context: Any) -> Any:
        only(request, *_WRITE, "points", "update_filter")
        sizes = {name: each["size"] for name, each in self._shards.folders.config(request.collection_name)["vectors"].items()}
        points = []
        for point in request.points:
            named = vectors(point.vectors)
            for name, values in named.items():
                if len(values) != sizes.get(name):
                    message = f"Wrong input: Vector dimension error: expected dim: {sizes.get(name)}, got {len(values)}"
                    raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, message)
            points.append(edge.Point(id=point_id(point.id), vector=named, payload=payload(point.payload)))
        condition = engine_filter(request.update_filter) if request.HasField("update_filter") else None
        operation = edge.UpdateOperation.upsert_points(points, condition)
        return await self._update(request.collection_name, operation, grows=True, points=len(points))

    async def Delete(self, request: Any, context: Any) -> Any:
        only(request, *_WRITE, "points")
        selector = request.points
        if selector.HasField("points"):
            operation = edge.UpdateOperation.delete_points([point_id(each) for each in selector.points.ids])
        else:
            operation = edge.UpdateOperation.delete_points_by_filter(engine_filter(selector.filter))
        return await self._update(request.collection_name, operation)

    async def SetPayload(self, request: Any, context: Any) -> Any:
        only(request, *_WRITE, "payload", "points_selector")
        selector, values = request.points_selector, payload(request.payload)
        if selector.HasField("points"):
            operation = edge.UpdateOperation.set_payload([point_id(each) for each in selector.points.ids], values)
        else:
            operation = edge.UpdateOperation.set_payload_by_filter(engine_filter(selector.filter), values)
        return await self._update(request.collection_name, operation)

    async def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        only(request, *_WRITE, "field_name", "field_type", "field_index_params")
        operation = edge.UpdateOperation.create_field_index(request.field_name, payload_schema(request))
        return await self._update(request.collection_name, operation, grows=True)

    async def Query(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        query = engine_query(request)
        found = await self._shards.read(request.collection_name, lambda shard: shard.query(query))
        response = q.QueryResponse()
        _add_scored(response.result, found)
        response.time = time.monotonic() - started
        return response

    async def QueryBatch(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        only(request, "collection_name", "query_points", "timeout", "read_consistency")
        if any(each.collection_name != request.collection_name for each in request.query_points):
            raise RefusedError(grpc.StatusCode.INVALID_ARGUMENT, "Wrong input: a batch of queries has one collection")
        batch = edge.QueryBatchRequest([engine_query(each) for each in request.query_points])
        found = await self._shards.read(request.collection_name, lambda shard: shard.query_batch(batch))
        response = q.QueryBatchResponse()
        for points in found:
            _add_scored(response.result.add().result, points)
        response.time = time.monotonic() - started
        return response

    async def Get(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        only(request, *_READ, "ids")
        ids, payloads, with_vector = [point_id(each) for each in request.ids], with_payload(request), with_vectors(request)
        found = await self._shards.read(request.collection_name, lambda shard: shard.retrieve(ids, payloads, with_vector))
        return q.GetResponse(result=[_retrieved(record) for record in found], time=time.monotonic() - started)

    async def Scroll(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        only(request, *_READ, "filter", "offset", "limit")
        scroll = edge.ScrollRequest(
            offset=point_id(request.offset) if request.HasField("offset") else None,
            limit=request.limit if request.HasField("limit") else _SCROLL_LIMIT,
            filter=optional_filter(request),
            with_payload=with_payload(request),
            with_vector=with_vectors(request),
        )
        records, following = await self._shards.read(request.collection_name, lambda shard: shard.scroll(scroll))
        response = q.ScrollResponse(result=[_retrieved(record) for record in records], time=time.monotonic() - started)
        if following is not None:
            response.next_page_offset.CopyFrom(id_message(following))
        return response

    async def Count(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        only(request, "collection_name", "filter", "exact", "timeout", "read_consistency")
        count = edge.CountRequest(filter=optional_filter(request), exact=not request.HasField("exact") or request.exact)
        found = await self._shards.read(request.collection_name, lambda shard: shard.count(count))
        return q.CountResponse(result=q.CountResult(count=found), time=time.monotonic() - started)

    async def Facet(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        only(request, "collection_name", "key", "filter", "limit", "exact", "timeout", "read_consistency")
        facet = edge.FacetRequest(
            request.key,
            limit=request.limit if request.HasField("limit") else _FACET_LIMIT,
            exact=request.exact,
            filter=optional_filter(request),
        )
        found = await self._shards.read(request.collection_name, lambda shard: shard.facet(facet))
        return q.FacetResponse(hits=[_facet_hit(hit) for hit in found.hits], time=time.monotonic() - started)

    async def _update(self, name: str, operation: Any, *, grows: bool = False, points: int = 0) -> Any:
        started = time.monotonic()
        await self._shards.write(name, operation, grows=grows, points=points)
        self._sequence += 1
        result = q.UpdateResult(operation_id=self._sequence, status=q.UpdateStatus.Completed)
        return q.PointsOperationResponse(result=result, time=time.monotonic() - started)


def _add_scored(result: Any, points: Sequence[Any]) -> None:
    """Append points to a repeated field: filled in place they take half the time of messages that are made and copied."""
    for point in points:
        message, identifier = result.add(), point.id
        if isinstance(identifier, int):
            message.id.num = identifier
        else:
            message.id.uuid = str(identifier)
        message.score, message.version = point.score, point.version
        if point.payload is not None:
            message.MergeFrom(q.ScoredPoint(payload=payload_message(point.payload)))
        if point.vector is not None:
            message.vectors.CopyFrom(vectors_message(point.vector))


def _retrieved(record: Any) -> Any:
    message = q.RetrievedPoint(id=id_message(record.id), payload=payload_message(record.payload))
    if record.vector is not None:
        message.vectors.CopyFrom(vectors_message(record.vector))
    return message


def _facet_hit(hit: Any) -> Any:
    if isinstance(hit.value, bool):
        value = q.FacetValue(bool_value=hit.value)
    elif isinstance(hit.value, int):
        value = q.FacetValue(integer_value=hit.value)
    else:
        value = q.FacetValue(string_value=str(hit.value))
    return q.FacetHit(value=value, count=hit.count)
