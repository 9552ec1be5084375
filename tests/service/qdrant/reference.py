"""The official client's own model of a Qdrant server, in memory, behind the stubs of a connection.

It has no indexes: what an index decides, the types of fields and what can be counted, is added here. Its words have no stems and no
stopwords, so it agrees only about words that are their own stems.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import grpc
from grpc import StatusCode
from grpc.aio import Metadata
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, grpc_field_type_to_payload_schema, grpc_to_payload

from services.search.qdrant import q

_COUNTABLE = {q.FieldType.FieldTypeKeyword, q.FieldType.FieldTypeInteger, q.FieldType.FieldTypeBool, q.FieldType.FieldTypeUuid}
_TEXT = models.TextIndexParams(
    type=models.TextIndexType.TEXT,
    tokenizer=models.TokenizerType.WORD,
    lowercase=True,
    phrase_matching=True,
    scoring=models.TextScoringParams(type=models.TextScoringType.BM25),
)
_DONE = q.PointsOperationResponse(result=q.UpdateResult(status=q.UpdateStatus.Completed))
_TO_REST: Any = GrpcToRest
_TO_GRPC: Any = RestToGrpc


class Reference:
    """Takes the place of a connected client: has its stubs of the Points and Collections services."""

    def __init__(self) -> None:
        self._client: Any = AsyncQdrantClient(":memory:")
        self._fields: dict[str, dict[str, Any]] = {}
        reads = (self.Query, self.QueryBatch, self.Get, self.Scroll, self.Count, self.Facet)
        self.grpc_points = _stubs((self.Upsert, self.SetPayload, self.Delete, self.CreateFieldIndex, *reads))
        self.grpc_collections = _stubs((self.Create, self.GetInfo, self.DropCollection, self.CollectionExists, self.List))
        self.grpc_collections.Get, self.grpc_collections.Delete = self.grpc_collections.GetInfo, self.grpc_collections.DropCollection

    async def close(self) -> None:
        await self._client.close()

    async def Create(self, request: Any) -> Any:
        vectors = _TO_REST.convert_vectors_config(request.vectors_config)
        await self._client.create_collection(request.collection_name, vectors)
        self._fields[request.collection_name] = {}
        return q.CollectionOperationResponse(result=True)

    async def GetInfo(self, request: Any) -> Any:
        info = await self._client.get_collection(request.collection_name)
        params = q.VectorParamsMap(map={name: _TO_GRPC.convert_vector_params(each) for name, each in info.config.params.vectors.items()})
        config = q.CollectionConfig(params=q.CollectionParams(vectors_config=q.VectorsConfig(params_map=params)))
        schema = {
            name: q.PayloadSchemaInfo(data_type=grpc_field_type_to_payload_schema(kind))
            for name, kind in self._fields[request.collection_name].items()
        }
        return q.GetCollectionInfoResponse(result=q.CollectionInfo(config=config, payload_schema=schema, points_count=info.points_count))

    async def DropCollection(self, request: Any) -> Any:
        self._fields.pop(request.collection_name, None)
        return q.CollectionOperationResponse(result=await self._client.delete_collection(request.collection_name))

    async def CollectionExists(self, request: Any) -> Any:
        exists = await self._client.collection_exists(request.collection_name)
        return q.CollectionExistsResponse(result=q.CollectionExists(exists=exists))

    async def List(self, _: Any) -> Any:
        names = [each.name for each in (await self._client.get_collections()).collections]
        return q.ListCollectionsResponse(collections=[q.CollectionDescription(name=name) for name in names])

    async def CreateFieldIndex(self, request: Any) -> Any:
        is_text = request.field_type == q.FieldType.FieldTypeText
        kind = _TEXT if is_text else models.PayloadSchemaType.KEYWORD  # of all others it keeps nothing
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Payload indexes have no effect")
            await self._client.create_payload_index(request.collection_name, request.field_name, kind)
        self._fields[request.collection_name][request.field_name] = request.field_type
        return _DONE

    async def Upsert(self, request: Any) -> Any:
        points = [_TO_REST.convert_point_struct(point) for point in request.points]
        condition = _TO_REST.convert_filter(request.update_filter) if request.HasField("update_filter") else None
        await self._client.upsert(request.collection_name, points, update_filter=condition)
        return _DONE

    async def SetPayload(self, request: Any) -> Any:
        selector = _TO_REST.convert_points_selector(request.points_selector)
        await self._client.set_payload(request.collection_name, grpc_to_payload(request.payload), selector)
        return _DONE

    async def Delete(self, request: Any) -> Any:
        await self._client.delete(request.collection_name, _TO_REST.convert_points_selector(request.points))
        return _DONE

    async def Query(self, request: Any) -> Any:
        asked = _TO_REST.convert_query_points(request)
        found = await self._client.query_points(
            request.collection_name,
            query=asked.query,
            using=asked.using,
            prefetch=asked.prefetch,
            query_filter=asked.filter,
            limit=asked.limit or 10,
            with_payload=False,
        )
        return q.QueryResponse(result=[_TO_GRPC.convert_scored_point(point) for point in found.points])

    async def QueryBatch(self, request: Any) -> Any:
        answers = [await self.Query(each) for each in request.query_points]
        return q.QueryBatchResponse(result=[q.BatchResult(result=answer.result) for answer in answers])

    async def Get(self, request: Any) -> Any:
        ids = [_TO_REST.convert_point_id(each) for each in request.ids]
        return q.GetResponse(result=map(_record, await self._client.retrieve(request.collection_name, ids, **_selected(request))))

    async def Scroll(self, request: Any) -> Any:
        records, following = await self._client.scroll(
            request.collection_name,
            scroll_filter=_filter(request),
            limit=request.limit,
            offset=_TO_REST.convert_point_id(request.offset) if request.HasField("offset") else None,
            **_selected(request),
        )
        next_offset = None if following is None else _TO_GRPC.convert_extended_point_id(following)
        return q.ScrollResponse(result=map(_record, records), next_page_offset=next_offset)

    async def Count(self, request: Any) -> Any:
        found = await self._client.count(request.collection_name, count_filter=_filter(request))
        return q.CountResponse(result=q.CountResult(count=found.count))

    async def Facet(self, request: Any) -> Any:
        found = await self._client.facet(request.collection_name, request.key, facet_filter=_filter(request), limit=request.limit)
        is_empty = (await self._client.count(request.collection_name)).count == 0  # a server looks for an index once there are points
        if not is_empty and self._fields[request.collection_name].get(request.key) not in _COUNTABLE:
            raise ValueError(f"no appropriate index for faceting {request.key}")
        return q.FacetResponse(hits=[_TO_GRPC.convert_facet_value_hit(hit) for hit in found.hits])


def _stubs(methods: tuple[Callable[..., Any], ...]) -> Any:
    return SimpleNamespace(**{method.__name__: _stub(method) for method in methods})


def _stub(method: Callable[..., Any]) -> Callable[..., Any]:
    async def call(request: Any, timeout: float) -> Any:  # noqa: ARG001, ASYNC109 - as stubs of gRPC have it
        with _statuses():
            return await method(request)

    return call


@contextmanager
def _statuses() -> Iterator[None]:
    """Give the model's refusals the statuses of a server."""
    try:
        yield
    except ValueError as error:
        code = StatusCode.INVALID_ARGUMENT
        if "already exists" in str(error):
            code = StatusCode.ALREADY_EXISTS
        elif "not found" in str(error) and str(error).startswith("Collection"):
            code = StatusCode.NOT_FOUND
        raise grpc.aio.AioRpcError(code, Metadata(), Metadata(), str(error)) from error


def _filter(request: Any) -> Any:
    return _TO_REST.convert_filter(request.filter) if request.HasField("filter") else None


def _selected(request: Any) -> dict[str, Any]:
    payload = _TO_REST.convert_with_payload_interface(request.with_payload) if request.HasField("with_payload") else False
    vectors = _TO_REST.convert_with_vectors_selector(request.with_vectors) if request.HasField("with_vectors") else False
    return {"with_payload": payload, "with_vectors": vectors}


def _record(record: Any) -> Any:
    return _TO_GRPC.convert_record(record)
