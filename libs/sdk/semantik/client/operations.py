"""Operations: background work, watched live."""

import asyncio
from collections.abc import AsyncIterator

from semantik.client.errors import SemantikError
from semantik.client.session import Session
from semantik.operation.v1 import operation_pb2, operation_service_pb2, operation_service_pb2_grpc

State = operation_pb2.Operation.State
TERMINAL = (State.STATE_SUCCEEDED, State.STATE_FAILED, State.STATE_CANCELLED)
_PASSING = ("UNAVAILABLE", "CANCELLED", "UNKNOWN", "INTERNAL")
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0
_MOST_FAILURES = 30


class Operations:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = operation_service_pb2_grpc.OperationServiceStub(session.channel)

    async def get(self, operation_id: str) -> operation_pb2.Operation:
        request = operation_service_pb2.GetOperationRequest(operation_id=operation_id)
        return (await self._session.call(self._stub.GetOperation, request)).operation

    async def list(self, collection_id: str = "") -> AsyncIterator[operation_pb2.Operation]:
        """Yield operations of a collection, or those the caller started; newest first."""
        request = operation_service_pb2.ListOperationsRequest(collection_id=collection_id)
        while True:
            answer = await self._session.call(self._stub.ListOperations, request)
            for operation in answer.operations:
                yield operation
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def watch(self, operation_id: str) -> AsyncIterator[operation_pb2.Operation]:
        """Yield the state now and after each change, to the end; a stream that breaks is opened again."""
        request = operation_service_pb2.WatchOperationRequest(operation_id=operation_id)
        revision, failures = -1, 0
        while True:
            try:
                async for answer in self._session.stream(self._stub.WatchOperation, request):
                    failures = 0
                    operation = answer.operation
                    if operation.revision > revision:
                        revision = operation.revision
                        yield operation
                    if operation.state in TERMINAL:
                        return
            except SemantikError as error:
                if error.code not in _PASSING or failures >= _MOST_FAILURES:
                    raise
            failures += 1
            await asyncio.sleep(min(_FIRST_WAIT * 2**failures, _LONGEST_WAIT))

    async def wait(self, operation_id: str) -> operation_pb2.Operation:
        """Return the operation once it has ended."""
        last: operation_pb2.Operation | None = None
        async for operation in self.watch(operation_id):
            last = operation
        return last if last is not None else await self.get(operation_id)

    async def cancel(self, operation_id: str) -> operation_pb2.Operation:
        """Cancel; an operation that has ended stays as it is."""
        request = operation_service_pb2.CancelOperationRequest(operation_id=operation_id)
        return (await self._session.call(self._stub.CancelOperation, request)).operation
