"""Operations: list, watch and cancel background work."""

from collections.abc import AsyncIterator

from semantik.client.resuming import resumed
from semantik.client.session import Session
from semantik.operation.v1 import operation_pb2, operation_service_pb2, operation_service_pb2_grpc

State = operation_pb2.Operation.State
TERMINAL = (State.STATE_SUCCEEDED, State.STATE_FAILED, State.STATE_CANCELLED)


class Operations:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = operation_service_pb2_grpc.OperationServiceStub(session.channel)

    async def get(self, operation_id: str) -> operation_pb2.Operation:
        request = operation_service_pb2.GetOperationRequest(operation_id=operation_id)
        return (await self._session.call(self._stub.GetOperation, request)).operation

    async def list(self, collection_id: str = "") -> AsyncIterator[operation_pb2.Operation]:
        """Yield the operations of a collection, or those that the caller started, newest first."""
        request = operation_service_pb2.ListOperationsRequest(collection_id=collection_id)
        while True:
            answer = await self._session.call(self._stub.ListOperations, request)
            for operation in answer.operations:
                yield operation
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def watch(self, operation_id: str) -> AsyncIterator[operation_pb2.Operation]:
        """Yield the current state and the state after each change until the operation ends. A stream that breaks is reopened."""
        request = operation_service_pb2.WatchOperationRequest(operation_id=operation_id)
        revision = -1
        streams = resumed(
            lambda: self._session.stream(self._stub.WatchOperation, request),
            lambda answer: answer.operation.state in TERMINAL,
        )
        async for answer in streams:
            operation = answer.operation
            if operation.revision > revision:
                revision = operation.revision
                yield operation

    async def wait(self, operation_id: str) -> operation_pb2.Operation:
        """Wait until the operation has ended and return it."""
        last: operation_pb2.Operation | None = None
        async for operation in self.watch(operation_id):
            last = operation
        return last if last is not None else await self.get(operation_id)

    async def cancel(self, operation_id: str) -> operation_pb2.Operation:
        """Cancel an operation; one that has ended does not change."""
        request = operation_service_pb2.CancelOperationRequest(operation_id=operation_id)
        return (await self._session.call(self._stub.CancelOperation, request)).operation

    async def retry(self, operation_id: str) -> operation_pb2.Operation:
        """Start a failed or cancelled operation again and return the new one; a repeat returns the same."""
        request = operation_service_pb2.RetryOperationRequest(operation_id=operation_id)
        return (await self._session.call(self._stub.RetryOperation, request)).operation
