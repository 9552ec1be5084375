"""CollectionInternalService: who may do what, for the other services."""

from sqlalchemy.ext.asyncio import AsyncEngine

from libs.db.engine import Sessions
from libs.db.tables import AnyRow
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
from services.collection.tables import DocumentState, Role


class CollectionInternalServicer(collection_internal_service_pb2_grpc.CollectionInternalServiceServicer):
    def __init__(self, sessions: Sessions, reads: AsyncEngine) -> None:
        self._sessions = sessions
        self._reads = reads

    async def AuthorizeCollections(
        self, request: messages.AuthorizeCollectionsRequest, context: Context
    ) -> messages.AuthorizeCollectionsResponse:
        role = Role(Grant.Role.Name(request.role).removeprefix("ROLE_"))
        async with self._reads.connect() as connection:
            asked = connection, Principal.of(request.principal), request.collection_ids, role
            if request.generation:
                rows = await permission.require_generations(*asked, request.generation)
            else:
                rows = await permission.require_collections(*asked)
        return messages.AuthorizeCollectionsResponse(collections=[_authorized(row) for row in rows])

    async def ListReadableCollections(
        self, request: messages.ListReadableCollectionsRequest, context: Context
    ) -> messages.ListReadableCollectionsResponse:
        async with self._reads.connect() as connection:
            rows = await collections.last_changed(connection, permission.subject(Principal.of(request.principal)), request.limit + 1)
        listed = [_authorized(row) for row in rows[: request.limit]]
        return messages.ListReadableCollectionsResponse(collections=listed, has_more=len(rows) > request.limit)

    async def AuthorizeDocument(self, request: messages.AuthorizeDocumentRequest, context: Context) -> messages.AuthorizeDocumentResponse:
        principal = Principal.of(request.principal)
        async with self._reads.connect() as connection:
            document = await permission.require_document(connection, principal, request.document_id, Role.READ)
            if document.state == DocumentState.DELETED:
                raise not_found("document", request.document_id)
            row = await permission.require_collection(connection, principal, document.collection_id, Role.READ)
        return messages.AuthorizeDocumentResponse(collection=_authorized(row))

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


def _authorized(row: AnyRow) -> messages.AuthorizedCollection:
    return messages.AuthorizedCollection(
        collection_id=row.id,
        name=row.name,
        role=role_message(row.role),
        generation=row.generation,
        index_name=row.qdrant_name,
        model=row.model,
        digest=row.digest,
        precision=precision_message(row.precision),
        language=row.index_language,
    )
