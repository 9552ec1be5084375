"""Asks collection what a principal may do with an operation."""

import grpc

from libs.rpc.call import Principal
from libs.rpc.errors import not_found, reason_of
from semantik.collection.v1 import collection_internal_service_pb2 as messages
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.collection.v1.grant_pb2 import Grant
from services.operation.tables import Kind, Operation


class Permission:
    """Decides by the collection's grant; the user who started an operation may always read it."""

    def __init__(self, collection: grpc.aio.Channel) -> None:
        self._collection = CollectionInternalServiceStub(collection)

    async def require_collection(self, principal: Principal, collection_id: str, role: "Grant.Role.ValueType") -> None:
        """Raise the collection's own NOT_FOUND or PERMISSION_DENIED."""
        request = messages.AuthorizeCollectionsRequest(principal=principal.proto(), collection_ids=[collection_id], role=role)
        await self._collection.AuthorizeCollections(request)

    async def require_read(self, principal: Principal, row: Operation | None, operation_id: str) -> Operation:
        """Return the operation if the principal may read it; an unknown one and a hidden one answer alike."""
        if row is None:
            raise not_found("operation", operation_id)
        if row.user_id != principal.user_id and not await self._reads_collection(principal, row):
            raise not_found("operation", operation_id)
        return row

    async def require_cancel(self, principal: Principal, row: Operation) -> None:
        """Raise unless the principal, who may read the operation, may cancel it; what has ended cannot change any more."""
        if row.collection_id is not None and not row.is_terminal:
            await self.require_collection(principal, row.collection_id, Grant.ROLE_WRITE)

    async def require_retry(self, principal: Principal, row: Operation) -> None:
        """Raise unless the principal, who may read the operation, may start it again.

        A collection whose deletion has failed is there for nobody: only the user who deletes it may go on.
        """
        if row.kind == Kind.DELETE and row.user_id == principal.user_id:
            return
        if row.collection_id is not None:
            await self.require_collection(principal, row.collection_id, Grant.ROLE_WRITE)

    async def _reads_collection(self, principal: Principal, row: Operation) -> bool:
        if row.collection_id is None:
            return False
        try:
            await self.require_collection(principal, row.collection_id, Grant.ROLE_READ)
        except grpc.aio.AioRpcError as error:
            if reason_of(error) in ("COLLECTION_NOT_FOUND", "ROLE_REQUIRED"):
                return False
            raise
        return True
