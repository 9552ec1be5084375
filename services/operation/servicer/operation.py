"""OperationService: people see and steer background work."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.rpc import call
from libs.rpc.bell import Bell
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from libs.rpc.identity import Verifier
from libs.rpc.paging import Pager, page_size
from semantik.collection.v1.grant_pb2 import Grant
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_pb2, operation_service_pb2_grpc
from semantik.operation.v1 import operation_service_pb2 as messages
from services.operation import store
from services.operation.feed import Feed
from services.operation.permission import Permission
from services.operation.shapes import operation_message
from services.operation.tables import Operation

_RECHECK_SECONDS = 60.0


class OperationServicer(operation_service_pb2_grpc.OperationServiceServicer):
    def __init__(
        self,
        sessions: Sessions,
        permission: Permission,
        pager: Pager,
        feed: Feed,
        verifier: Verifier,
        draining: asyncio.Event,
        bell: Bell,
    ) -> None:
        self._sessions = sessions
        self._permission = permission
        self._pager = pager
        self._feed = feed
        self._verifier = verifier
        self._draining = draining
        self._bell = bell

    async def GetOperation(self, request: messages.GetOperationRequest, context: Context) -> messages.GetOperationResponse:
        row = await self._readable(request.operation_id)
        return messages.GetOperationResponse(operation=operation_message(row))

    async def ListOperations(self, request: messages.ListOperationsRequest, context: Context) -> messages.ListOperationsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        if request.collection_id:
            await self._permission.require_collection(principal, request.collection_id, Grant.ROLE_READ)
        states = [operation_pb2.Operation.State.Name(state).removeprefix("STATE_") for state in request.states]
        async with self._sessions() as session:
            rows = await store.listed(
                session,
                collection_id=request.collection_id or None,
                user_id=principal.user_id,
                states=states,
                limit=size + 1,
                before=(datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None,
            )
        page = rows[:size]
        token = self._pager.token([page[-1].create_time.isoformat(), page[-1].id], request, principal) if len(rows) > size else ""
        return messages.ListOperationsResponse(operations=[operation_message(row) for row in page], next_page_token=token)

    async def WatchOperation(
        self, request: messages.WatchOperationRequest, context: Context
    ) -> AsyncIterator[messages.WatchOperationResponse]:
        await self._readable(request.operation_id)
        checked = time.monotonic()
        updates = self._feed.watch(request.operation_id)
        drain = asyncio.create_task(self._draining.wait())
        following = asyncio.create_task(anext(updates, None))
        try:
            while True:
                await asyncio.wait((following, drain), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    raise Failure(StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DRAINING, "shutting down; watch again", retry_after=0.1)
                operation = following.result()
                if operation is None:
                    return
                if time.monotonic() - checked > _RECHECK_SECONDS:
                    await self._verifier.still_holds(call.principal())
                    await self._readable(request.operation_id)
                    checked = time.monotonic()
                yield messages.WatchOperationResponse(operation=operation)
                following = asyncio.create_task(anext(updates, None))
        finally:
            drain.cancel()
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await updates.aclose()  # type: ignore[attr-defined]

    async def CancelOperation(self, request: messages.CancelOperationRequest, context: Context) -> messages.CancelOperationResponse:
        async with self._sessions() as session:
            row = await store.get(session, request.operation_id)
        await self._permission.require_write(call.principal(), row, request.operation_id)
        async with self._sessions.begin() as session:
            locked = await session.get_one(Operation, request.operation_id, with_for_update=True)
            await store.cancel(session, locked)
        await self._bell.ring(locked.queue)
        return messages.CancelOperationResponse(operation=operation_message(locked))

    async def _readable(self, operation_id: str) -> Operation:
        async with self._sessions() as session:
            row = await store.get(session, operation_id)
        return await self._permission.require_read(call.principal(), row, operation_id)
