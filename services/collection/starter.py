"""Asks operation for work: recorded in the caller's transaction, sent right after it, and sent again until operation has it."""

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import json_format, struct_pb2
from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.outbox import table as outbox
from libs.outbox.sender import RefusedError, Sender
from libs.rpc.call import Principal
from libs.rpc.errors import Failure
from libs.telemetry import failures
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from services.collection import metrics
from services.collection.store import starts
from services.collection.tables import Outbox, StartRequest

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

log = logging.getLogger(__name__)
Kind = operation_pb2.Operation.Kind
TOPIC = "start"
_SECONDS = 5.0
_TRANSIENT = (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED, StatusCode.RESOURCE_EXHAUSTED, StatusCode.ABORTED)
_REFUSALS = (
    StatusCode.INVALID_ARGUMENT,
    StatusCode.ALREADY_EXISTS,
    StatusCode.NOT_FOUND,
    StatusCode.PERMISSION_DENIED,
    StatusCode.FAILED_PRECONDITION,
)


@dataclass(frozen=True)
class Work:
    """Work to ask for; ``request`` has the id it goes by, and joins queued work that does the same where it may."""

    request: messages.StartOperationRequest

    @property
    def operation_id(self) -> str:
        """The id operation gives the work: UUIDv5 of user and request id."""
        return str(uuid.uuid5(uuid.UUID(self.request.principal.user_id), self.request.request_id))

    @property
    def is_repeatable(self) -> bool:
        """Whether the same id may be asked for again."""
        return not self.request.join_queued

    def queued(self) -> operation_pb2.Operation:
        """Return the operation as it will be."""
        return operation_pb2.Operation(
            id=self.operation_id,
            collection_id=self.request.collection_id,
            source_id=self.request.source_id,
            user_id=self.request.principal.user_id,
            kind=self.request.kind,
            state=operation_pb2.Operation.STATE_QUEUED,
        )


def work(
    principal: Principal,
    kind: "operation_pb2.Operation.Kind.ValueType",
    collection_id: str,
    *,
    request_id: str = "",
    own_id: str = "",
    source_id: str = "",
    config: dict[str, Any] | None = None,
) -> Work:
    """Describe work, by the user's ``request_id``, by an id of our own, or else once: then it may join what is queued.

    A prefix keeps the three apart: no request id of a user is ever one of ours.
    """
    given = f"user:{request_id}" if request_id else f"own:{own_id}" if own_id else f"once:{uuid.uuid4()}"
    return Work(
        messages.StartOperationRequest(
            principal=principal.proto(),
            request_id=given,
            collection_id=collection_id,
            kind=kind,
            source_id=source_id,
            config=json_format.ParseDict(config or {}, struct_pb2.Struct()),
            join_queued=given.startswith("once:"),
        )
    )


class Starter:
    """``record`` in a transaction, then ``send`` after its commit; ``run`` sends what did not arrive."""

    def __init__(self, sessions: Sessions, operation: grpc.aio.Channel) -> None:
        self._sessions = sessions
        self._operation: OperationInternalServiceAsyncStub = OperationInternalServiceStub(operation)
        self._sender = Sender(sessions, Outbox, {TOPIC: self._resend}, _is_transient)

    async def record(self, session: AsyncSession, asked: Work, resource_id: str, body: object) -> str | None:
        """Record work; return the first call's resource where this is a repeat, None where it is new.

        Raises ALREADY_EXISTS if the request id came with another body before.
        """
        if asked.is_repeatable:
            first = await self._claim(session, asked, resource_id, body)
            if first is not None:
                return first
        payload = _resent(asked.request).SerializeToString()
        await outbox.put(session, Outbox, asked.operation_id, TOPIC, payload, delay_seconds=2 * _SECONDS)
        return None

    async def _claim(self, session: AsyncSession, asked: Work, resource_id: str, body: object) -> str | None:
        request = asked.request
        digest = hashlib.sha256(json.dumps([int(request.kind), request.collection_id, body], sort_keys=True).encode()).hexdigest()
        start = StartRequest(id=asked.operation_id, body_hash=digest, resource_id=resource_id)
        claimed, first = await starts.claim_request_id(session, start)
        if claimed is starts.Claimed.REUSED:
            raise Failure(
                StatusCode.ALREADY_EXISTS,
                ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
                "this request_id was used for another request",
                field="request_id",
            )
        return first if claimed is starts.Claimed.REPEAT else None

    async def withdraw(self, session: AsyncSession, asked: Work) -> None:
        """Take back what ``record`` recorded in this transaction, where it turns out that there is nothing to do."""
        await outbox.acknowledge(session, Outbox, asked.operation_id)
        await starts.forget(session, asked.operation_id)

    async def send(self, asked: Work) -> operation_pb2.Operation:
        """Send recorded work; while operation cannot be reached, the answer is the operation as it will be."""
        kind = Kind.Name(asked.request.kind).removeprefix("KIND_")
        try:
            answer = await self._operation.StartOperation(asked.request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _TRANSIENT:
                metrics.starts.labels(kind, "refused").inc()
                raise
            metrics.starts.labels(kind, "deferred").inc()
            failures.record(log, "start", f"operation {asked.operation_id} is sent again later", error)
            return asked.queued()
        metrics.starts.labels(kind, "sent").inc()
        try:
            async with self._sessions.begin() as session:
                await outbox.acknowledge(session, Outbox, asked.operation_id)
        except Exception as error:  # noqa: BLE001 - it is sent again, which changes nothing
            failures.record(log, "start_acknowledge", f"the start of operation {asked.operation_id} stays in the outbox", error)
        return answer.operation

    async def run(self) -> None:
        """Send what was not acknowledged, until cancelled."""
        await self._sender.run()

    async def _resend(self, row: Outbox) -> None:
        request = messages.StartOperationRequest.FromString(row.payload)
        try:
            await self._operation.StartOperation(request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() in _REFUSALS:
                raise RefusedError(f"{error.code().name}: {error.details()}") from error
            raise


def _resent(request: messages.StartOperationRequest) -> messages.StartOperationRequest:
    """Return the request as it is sent again: it never joins, because a caller has its id by then."""
    again = messages.StartOperationRequest()
    again.CopyFrom(request)
    again.join_queued = False
    return again


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, grpc.aio.AioRpcError) and error.code() in _TRANSIENT
