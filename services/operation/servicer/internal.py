"""OperationInternalService: work comes in, and goes out to workers."""

from datetime import timedelta

from google.protobuf import json_format
from grpc import StatusCode

from libs.db.engine import Sessions
from libs.rpc.bell import Bell
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, not_found
from libs.rpc.timestamps import duration
from semantik.auth.v1 import principal_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_internal_service_pb2_grpc, operation_pb2
from services.operation import store
from services.operation.settings import Settings
from services.operation.shapes import (
    DEFAULT_QUEUE,
    config_message,
    error_row,
    operation_message,
    progress_row,
    start_row,
)
from services.operation.tables import Desired, Operation, State

_DIRECTIVES = {
    Desired.RUN: messages.DIRECTIVE_CONTINUE,
    Desired.PAUSE: messages.DIRECTIVE_PAUSE,
    Desired.CANCEL: messages.DIRECTIVE_CANCEL,
}


class OperationInternalServicer(operation_internal_service_pb2_grpc.OperationInternalServiceServicer):
    def __init__(self, settings: Settings, sessions: Sessions, bell: Bell) -> None:
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._sessions = sessions
        self._bell = bell

    async def StartOperation(self, request: messages.StartOperationRequest, context: Context) -> messages.StartOperationResponse:
        values = start_row(request)
        async with self._sessions.begin() as session:
            row = await store.queued_like(session, values) if request.join_queued else None
            is_new = False
            if row is None:
                row, is_new = await store.start(session, values)
        if row.request_hash != values["request_hash"]:
            raise Failure(
                StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_REQUEST_ID_REUSED, "this request_id was used for another request"
            )
        if is_new:
            await self._bell.ring(row.queue)
        return messages.StartOperationResponse(operation=operation_message(row), is_new=is_new)

    async def ClaimOperation(self, request: messages.ClaimOperationRequest, context: Context) -> messages.ClaimOperationResponse:
        async with self._sessions.begin() as session:
            row = await store.claim(session, request.queue or DEFAULT_QUEUE, request.worker_id, self._lease)
        if row is None:
            return messages.ClaimOperationResponse()
        claim = messages.Claim(
            operation=operation_message(row),
            fence=row.fence,
            lease=duration(self._lease.total_seconds()),
            directive=messages.DIRECTIVE_SETTLE if row.settle_state else messages.DIRECTIVE_CONTINUE,
            config=config_message(row),
            principal=json_format.ParseDict(row.principal, principal_pb2.Principal()),
        )
        if row.settle_state:
            claim.settle_state = operation_pb2.Operation.State.Value(f"STATE_{row.settle_state}")
        return messages.ClaimOperationResponse(claim=claim)

    async def ReportOperation(self, request: messages.ReportOperationRequest, context: Context) -> messages.ReportOperationResponse:
        progress = progress_row(request.progress) if request.HasField("progress") else None
        async with self._sessions.begin() as session:
            row = await store.held(session, request.operation_id, request.fence)
            if row is None:
                return messages.ReportOperationResponse(directive=messages.DIRECTIVE_LOST)
            await store.report(session, row, progress, request.wait_reason, self._lease)
        return messages.ReportOperationResponse(directive=_DIRECTIVES[Desired(row.desired)])

    async def ReleaseOperation(self, request: messages.ReleaseOperationRequest, context: Context) -> messages.ReleaseOperationResponse:
        progress = progress_row(request.progress) if request.HasField("progress") else None
        async with self._sessions.begin() as session:
            row = await store.held(session, request.operation_id, request.fence)
            if row is None:
                raise await self._lost(request.operation_id)
            await store.release(session, row, progress)
        await self._bell.ring(row.queue)
        return messages.ReleaseOperationResponse()

    async def FinishOperation(self, request: messages.FinishOperationRequest, context: Context) -> messages.FinishOperationResponse:
        progress = progress_row(request.progress) if request.HasField("progress") else None
        error = error_row(request.error) if request.HasField("error") else None
        state = State(operation_pb2.Operation.State.Name(request.state).removeprefix("STATE_"))
        async with self._sessions.begin() as session:
            row = await store.held(session, request.operation_id, request.fence)
            if row is not None:
                await store.finish(session, row, state, progress, error)
            else:
                row = await store.get(session, request.operation_id)
                if row is None or row.fence != request.fence or row.state != state:
                    raise await self._lost(request.operation_id)
        await self._bell.ring(row.queue)
        return messages.FinishOperationResponse(operation=operation_message(row))

    async def _lost(self, operation_id: str) -> Failure:
        async with self._sessions() as session:
            row: Operation | None = await store.get(session, operation_id)
        if row is None:
            return not_found("operation", operation_id)
        return Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_LEASE_LOST, "the lease on this operation is gone")
