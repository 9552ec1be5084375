"""What operation asks and tells collection about work."""

import json

import grpc
from grpc import StatusCode

from libs.outbox.sender import RefusedError
from semantik.collection.v1 import collection_internal_service_pb2 as messages
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.operation.v1 import operation_internal_service_pb2 as internal
from services.operation.tables import Outbox

_SECONDS = 5.0
_FINAL = (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.FAILED_PRECONDITION, StatusCode.PERMISSION_DENIED)


class CollectionClient:
    """Calls of CollectionInternalService that are no question of permission."""

    def __init__(self, collection: grpc.aio.Channel) -> None:
        self._collection = CollectionInternalServiceStub(collection)

    async def pending_start(self, operation_id: str) -> internal.StartOperationRequest | None:
        """Return the start of an operation that collection has accepted and not delivered yet, None if there is none."""
        try:
            answer = await self._collection.GetPendingStart(messages.GetPendingStartRequest(operation_id=operation_id))
        except grpc.aio.AioRpcError as error:
            if error.code() is StatusCode.NOT_FOUND:
                return None
            raise
        return answer.request

    async def mark_failed(self, row: Outbox) -> None:
        """Deliver a row of the outbox: no worker could settle an operation of this collection."""
        payload = json.loads(row.payload)
        request = messages.MarkCollectionFailedRequest(
            collection_id=payload["collection_id"],
            fence=payload["fence"],
            message=f"operation {payload['operation_id']} could not be settled; retry it or delete the collection",
        )
        try:
            await self._collection.MarkCollectionFailed(request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _FINAL:
                raise RefusedError(error.details()) from error
            raise
