"""OperationInternalService: work comes in, and goes out to workers."""

from datetime import timedelta

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, not_found
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_internal_service_pb2_grpc
from services.operation import metrics
from services.operation.convert import (
    DEFAULT_QUEUE,
    claim_message,
    error_row,
    operation_message,
    progress_row,
    start_row,
    state_of,
)
from services.operation.dispatcher import Dispatcher
from services.operation.progress import merged
from services.operation.settings import Settings
from services.operation.store import claims, operations
from services.operation.tables import Desired, Operation, Slot
from services.operation.upkeep import count_end

_DIRECTIVES = {
    Desired.RUN: messages.DIRECTIVE_CONTINUE,
    Desired.YIELD: messages.DIRECTIVE_YIELD,
    Desired.PAUSE: messages.DIRECTIVE_PAUSE,
    Desired.CANCEL: messages.DIRECTIVE_CANCEL,
}


class OperationInternalServicer(operation_internal_service_pb2_grpc.OperationInternalServiceServicer):
    def __init__(self, settings: Settings, sessions: Sessions, dispatcher: Dispatcher, limits: claims.Limits) -> None:
        self._settings = settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self._sessions = sessions
        self._dispatcher = dispatcher
        self._limits = limits

    async def StartOperation(self, request: messages.StartOperationRequest, context: Context) -> messages.StartOperationResponse:
        values = start_row(request)
        async with self._sessions.begin() as session:
            row = await operations.queued_like(session, values) if request.join_queued else None
            is_new = False
            if row is None:
                row, is_new = await operations.start(session, values)
        if row.request_hash != values["request_hash"]:
            raise Failure(
                StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_REQUEST_ID_REUSED, "this request_id was used for another request"
            )
        return messages.StartOperationResponse(operation=operation_message(row), is_new=is_new)

    async def ClaimOperation(self, request: messages.ClaimOperationRequest, context: Context) -> messages.ClaimOperationResponse:
        async with self._sessions.begin() as session:
            row = await claims.repeated(session, request.claim_id, self._lease)
        if row is None and not request.repeat_only:
            slot = Slot(messages.Slot.Name(request.slot).removeprefix("SLOT_"))
            wait = request.wait.ToTimedelta().total_seconds()
            row = await self._dispatcher.claim(request.queue or DEFAULT_QUEUE, slot, request.worker_id, request.claim_id, wait)
            if row is not None:
                metrics.claims.labels(row.kind, slot.lower(), "settle" if row.settle_state else "continue").inc()
        if row is None:
            return messages.ClaimOperationResponse()
        is_last = row.settles >= self._settings.max_settles
        return messages.ClaimOperationResponse(claim=claim_message(row, self._settings.guaranteed_seconds, is_last_settle=is_last))

    async def ReportOperation(self, request: messages.ReportOperationRequest, context: Context) -> messages.ReportOperationResponse:
        async with self._sessions() as session:
            glance = await claims.glance(session, request.operation_id, request.fence)
        if glance is None:
            return messages.ReportOperationResponse(directive=messages.DIRECTIVE_LOST)
        row, seconds_left = glance
        progress = merged(row.progress, progress_row(request.progress)) if request.HasField("progress") else row.progress
        is_changed = progress != row.progress or request.wait_reason != row.wait_reason
        is_due = seconds_left < self._settings.guaranteed_seconds
        is_held = True
        if is_changed or is_due:
            async with self._sessions.begin() as session:
                if is_changed:
                    is_held = await claims.report(session, row, progress, request.wait_reason)
                if is_due and is_held:
                    is_held = await claims.renew(session, row, self._lease)
        # What is being settled is not steered any more.
        directive = messages.DIRECTIVE_CONTINUE if row.is_settling else _DIRECTIVES[Desired(row.desired)]
        return messages.ReportOperationResponse(directive=directive if is_held else messages.DIRECTIVE_LOST)

    async def ReleaseOperation(self, request: messages.ReleaseOperationRequest, context: Context) -> messages.ReleaseOperationResponse:
        progress = progress_row(request.progress) if request.HasField("progress") else None
        fault = error_row(request.fault) if request.HasField("fault") else None
        async with self._sessions.begin() as session:
            row = await claims.held(session, request.operation_id, request.fence)
            if row is not None:
                await claims.release(session, row, progress, fault, self._limits)
        if row is None:
            await self._require_released(request)
            return messages.ReleaseOperationResponse()
        if fault is not None:
            metrics.faults.labels(row.kind).inc()
            count_end(row)
        return messages.ReleaseOperationResponse()

    async def FinishOperation(self, request: messages.FinishOperationRequest, context: Context) -> messages.FinishOperationResponse:
        progress = progress_row(request.progress) if request.HasField("progress") else None
        error = error_row(request.error) if request.HasField("error") else None
        state = state_of(request.state)
        async with self._sessions.begin() as session:
            row = await claims.held(session, request.operation_id, request.fence)
            if row is not None:
                await claims.finish(session, row, state, progress, error)
        if row is None:
            row = await self._require_finished(request)
        else:
            count_end(row)
        return messages.FinishOperationResponse(operation=operation_message(row))

    async def _require_released(self, request: messages.ReleaseOperationRequest) -> None:
        """Accept the repeat of a release whose answer was lost: nobody has claimed the operation since."""
        row = await self._existing(request.operation_id)
        if row.fence != request.fence or row.is_terminal:
            raise _lease_lost()

    async def _require_finished(self, request: messages.FinishOperationRequest) -> Operation:
        """Accept the repeat of an end whose answer was lost."""
        row = await self._existing(request.operation_id)
        if row.fence != request.fence or row.state != state_of(request.state):
            raise _lease_lost()
        return row

    async def _existing(self, operation_id: str) -> Operation:
        async with self._sessions() as session:
            row = await operations.get(session, operation_id)
        if row is None:
            raise not_found("operation", operation_id)
        return row


def _lease_lost() -> Failure:
    return Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_LEASE_LOST, "the lease on this operation is gone")
