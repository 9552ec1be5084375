"""CollectionInternalService: who may do what, for the other services."""

from sqlalchemy.ext.asyncio import AsyncEngine

from libs.db.engine import Sessions
from libs.rpc.boundary import Context
from libs.rpc.call import Principal
from libs.rpc.errors import not_found
from semantik.collection.v1 import collection_internal_service_pb2 as messages
from semantik.collection.v1 import collection_internal_service_pb2_grpc
from semantik.collection.v1.grant_pb2 import Grant
from semantik.operation.v1.operation_internal_service_pb2 import StartOperationRequest
from services.collection import permission
from services.collection.servicer.convert import precision_message, role_message
from services.collection.store import collections, starts
from services.collection.tables import Role


class CollectionInternalServicer(collection_internal_service_pb2_grpc.CollectionInternalServiceServicer):
    def __init__(self, sessions: Sessions, reads: AsyncEngine) -> None:
        self._sessions = sessions
        self._reads = reads

    async def AuthorizeCollections(
        self, request: messages.AuthorizeCollectionsRequest, context: Context
    ) -> messages.AuthorizeCollectionsResponse:
        role = Role(Grant.Role.Name(request.role).removeprefix("ROLE_"))
        async with self._reads.connect() as connection:
            rows = await permission.require_collections(connection, Principal.of(request.principal), request.collection_ids, role)
        authorized = [
            messages.AuthorizedCollection(
                collection_id=row.id,
                name=row.name,
                role=role_message(row.role),
                generation=row.generation,
                index_name=row.qdrant_name,
                model=row.model,
                digest=row.digest,
                precision=precision_message(row.precision),
            )
            for row in rows
        ]
        return messages.AuthorizeCollectionsResponse(collections=authorized)

    async def ListReadableCollections(
        self, request: messages.ListReadableCollectionsRequest, context: Context
    ) -> messages.ListReadableCollectionsResponse:
        async with self._reads.connect() as connection:
            ids = await collections.readable_ids(connection, permission.subject(Principal.of(request.principal)))
        return messages.ListReadableCollectionsResponse(collection_ids=ids)

    async def GetPendingStart(self, request: messages.GetPendingStartRequest, context: Context) -> messages.GetPendingStartResponse:
        async with self._sessions() as session:
            payload = await starts.pending(session, request.operation_id)
        if payload is None:
            raise not_found("operation", request.operation_id)
        return messages.GetPendingStartResponse(request=StartOperationRequest.FromString(payload))

    async def MarkCollectionFailed(
        self, request: messages.MarkCollectionFailedRequest, context: Context
    ) -> messages.MarkCollectionFailedResponse:
        async with self._sessions.begin() as session:
            await collections.mark_failed(session, request.collection_id, request.fence, request.message)
        return messages.MarkCollectionFailedResponse()
