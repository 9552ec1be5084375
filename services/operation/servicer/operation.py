"""OperationService: people see and steer background work."""

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from functools import partial

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.feed.feed import Feed
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, draining
from libs.rpc.identity import Verifier
from libs.rpc.paging import Pager, page_size
from semantik.collection.v1.grant_pb2 import Grant
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_pb2, operation_service_pb2_grpc
from semantik.operation.v1 import operation_service_pb2 as messages
from services.operation import metrics
from services.operation.collection import CollectionClient
from services.operation.convert import operation_message, retry_row, start_row, state_of, watch_message
from services.operation.permission import Permission
from services.operation.sharing import Shared
from services.operation.store import operations
from services.operation.tables import NOT_CANCELLABLE, TERMINAL, Operation, State
from services.operation.upkeep import count_end

_RECHECK_SECONDS = 60.0
_TERMINAL = {operation_pb2.Operation.State.Value(f"STATE_{state}") for state in TERMINAL}


class OperationServicer(operation_service_pb2_grpc.OperationServiceServicer):
    def __init__(
        self,
        sessions: Sessions,
        permission: Permission,
        collection: CollectionClient,
        pager: Pager,
        feed: Feed[messages.WatchOperationResponse],
        verifier: Verifier,
        repeat_seconds: float,
    ) -> None:
        self._sessions = sessions
        self._permission = permission
        self._collection = collection
        self._pager = pager
        self._feed = feed
        self._verifier = verifier
        self._repeat_seconds = repeat_seconds
        self._shared: Shared[Operation] = Shared()

    async def GetOperation(self, request: messages.GetOperationRequest, context: Context) -> messages.GetOperationResponse:
        row = await self._readable(request.operation_id)
        return messages.GetOperationResponse(operation=operation_message(row))

    async def ListOperations(self, request: messages.ListOperationsRequest, context: Context) -> messages.ListOperationsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        if request.collection_id:
            await self._permission.require_collection(principal, request.collection_id, Grant.ROLE_READ)
        async with self._sessions() as session:
            rows = await operations.listed(
                session,
                collection_id=request.collection_id or None,
                user_id=principal.user_id,
                states=[state_of(state) for state in request.states],
                limit=size + 1,
                before=(datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None,
            )
        page, token = self._pager.page(rows, size, lambda row: [row.create_time.isoformat(), row.id], request, principal)
        return messages.ListOperationsResponse(operations=[operation_message(row) for row in page], next_page_token=token)

    async def WatchOperation(
        self, request: messages.WatchOperationRequest, context: Context
    ) -> AsyncIterator[messages.WatchOperationResponse]:
        known, checked = watch_message(await self._watched(request.operation_id)), time.monotonic()
        with self._feed.topic(request.operation_id, known) as topic, metrics.watchers.track_inprogress():
            async with aclosing(topic.read(self._repeat_seconds)) as states:
                async for state in states:
                    await self._verifier.still_holds(call.principal())
                    if time.monotonic() - checked > _RECHECK_SECONDS:
                        await self._watched(request.operation_id)
                        checked = time.monotonic()
                    yield state
                    if state.operation.state in _TERMINAL:
                        return
        raise draining("shutting down; watch again")

    async def CancelOperation(self, request: messages.CancelOperationRequest, context: Context) -> messages.CancelOperationResponse:
        row = await self._readable(request.operation_id)
        await self._permission.require_cancel(call.principal(), row)
        if row.kind in NOT_CANCELLABLE and not row.is_terminal:
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_NOT_CANCELLABLE,
                f"an operation of kind {row.kind} cannot be cancelled",
                {"kind": row.kind},
            )
        async with self._sessions.begin() as session:
            row = await operations.locked(session, request.operation_id)
            was_terminal = row.is_terminal
            await operations.cancel(session, row)
        if not was_terminal:
            count_end(row)
        return messages.CancelOperationResponse(operation=operation_message(row))

    async def RetryOperation(self, request: messages.RetryOperationRequest, context: Context) -> messages.RetryOperationResponse:
        row = await self._readable(request.operation_id)
        await self._permission.require_retry(call.principal(), row)
        if row.state not in (State.FAILED, State.CANCELLED):
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_STATE_CONFLICT,
                f"only a failed or cancelled operation can be retried; this one is {row.state}",
                {"state": row.state},
            )
        async with self._sessions.begin() as session:
            retry, _ = await operations.start(session, retry_row(row, call.principal().proto()))
        return messages.RetryOperationResponse(operation=operation_message(retry))

    async def _watched(self, operation_id: str) -> Operation:
        return await self._shared.get((call.principal().key(), operation_id), partial(self._readable, operation_id))

    async def _readable(self, operation_id: str) -> Operation:
        async with self._sessions() as session:
            row = await operations.get(session, operation_id)
        if row is None:
            row = await self._adopt(operation_id)
        return await self._permission.require_read(call.principal(), row, operation_id)

    async def _adopt(self, operation_id: str) -> Operation | None:
        """Insert an operation that collection has accepted and could not deliver yet: its id is in somebody's hands."""
        start = await self._collection.pending_start(operation_id)
        if start is None:
            return None
        values = start_row(start)
        if values["id"] != operation_id:
            return None
        async with self._sessions.begin() as session:
            row, _ = await operations.start(session, values)
        return row
