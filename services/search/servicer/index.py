"""IndexInternalService: the workers keep the indexes."""

from collections.abc import AsyncIterator

from libs.rpc.boundary import Context
from libs.rpc.errors import invalid
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1 import index_internal_service_pb2_grpc
from services.search.collection_access import CollectionAccess
from services.search.index.indexes import Indexes
from services.search.languages.language import language_of


class IndexInternalServicer(index_internal_service_pb2_grpc.IndexInternalServiceServicer):
    def __init__(self, indexes: Indexes, access: CollectionAccess) -> None:
        self._indexes = indexes
        self._access = access

    async def CreateIndex(self, request: messages.CreateIndexRequest, context: Context) -> messages.CreateIndexResponse:
        return messages.CreateIndexResponse(
            is_new=await self._indexes.create(request.index_name, request.dimension, language_of(request.language))
        )

    async def FenceIndex(self, request: messages.FenceIndexRequest, context: Context) -> messages.FenceIndexResponse:
        await self._indexes.raise_fence(request.index_name, request.fence)
        return messages.FenceIndexResponse()

    async def SetIndexLanguage(self, request: messages.SetIndexLanguageRequest, context: Context) -> messages.SetIndexLanguageResponse:
        await self._indexes.set_language(request.index_name, request.fence, language_of(request.language))
        return messages.SetIndexLanguageResponse()

    async def UpsertChunks(self, request: messages.UpsertChunksRequest, context: Context) -> messages.UpsertChunksResponse:
        await self._indexes.upsert(request.index_name, request.fence, request.chunks)
        return messages.UpsertChunksResponse()

    async def SetMetadata(self, request: messages.SetMetadataRequest, context: Context) -> messages.SetMetadataResponse:
        await self._indexes.set_metadata(request.index_name, request.fence, request.documents)
        return messages.SetMetadataResponse()

    async def PublishDocuments(self, request: messages.PublishDocumentsRequest, context: Context) -> messages.PublishDocumentsResponse:
        await self._indexes.publish(request.index_name, request.fence, request.documents)
        return messages.PublishDocumentsResponse()

    async def HideDocuments(self, request: messages.HideDocumentsRequest, context: Context) -> messages.HideDocumentsResponse:
        if bool(request.documents) == bool(request.source_id):
            raise invalid("documents", "name either documents or a source")
        await self._indexes.hide(request.index_name, request.documents, request.source_id)
        return messages.HideDocumentsResponse()

    async def DeleteChunks(self, request: messages.DeleteChunksRequest, context: Context) -> messages.DeleteChunksResponse:
        await self._indexes.delete(
            request.index_name, request.fence, request.document_ids, request.keep_from_version, request.keep_below_version
        )
        return messages.DeleteChunksResponse()

    async def DropIndex(self, request: messages.DropIndexRequest, context: Context) -> messages.DropIndexResponse:
        await self._indexes.drop(request.index_name, request.fence)
        self._access.forget(request.index_name)
        return messages.DropIndexResponse()

    async def GetIndexStats(self, request: messages.GetIndexStatsRequest, context: Context) -> messages.GetIndexStatsResponse:
        stats = await self._indexes.stats(request.index_name)
        return messages.GetIndexStatsResponse(point_count=stats.point_count, fence=stats.fence)

    async def ListIndexes(self, request: messages.ListIndexesRequest, context: Context) -> messages.ListIndexesResponse:
        return messages.ListIndexesResponse(index_names=await self._indexes.names())

    async def ListPoints(self, request: messages.ListPointsRequest, context: Context) -> AsyncIterator[messages.ListPointsResponse]:
        async for points in self._indexes.points(request.index_name):
            yield messages.ListPointsResponse(points=points)
