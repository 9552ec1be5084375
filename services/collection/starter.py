"""Asks operation for work, so that nothing that was accepted is ever lost."""

import asyncio
import hashlib
import json
import logging
import uuid
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.rpc.call import Principal
from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from services.collection.store import starts
from services.collection.tables import Start

log = logging.getLogger(__name__)
Kind = operation_pb2.Operation.Kind
_KEEP_DAYS = 7
_SECONDS = 5.0


def work(
    principal: Principal,
    kind: "operation_pb2.Operation.Kind.ValueType",
    collection_id: str,
    *,
    request_id: str = "",
    source_id: str = "",
    config: dict[str, Any] | None = None,
) -> messages.StartOperationRequest:
    """Describe work. Without a request id it may join a queued operation that does the same."""
    return messages.StartOperationRequest(
        principal=principal.proto(),
        request_id=request_id or str(uuid.uuid4()),
        collection_id=collection_id,
        kind=kind,
        source_id=source_id,
        config=json_format.ParseDict(config or {}, struct_pb2.Struct()),
        join_queued=not request_id,
    )


class Starter:
    """Records work in the caller's transaction, sends it after the commit, and again until operation has it."""

    def __init__(self, sessions: Sessions, operation: grpc.aio.Channel, resend_seconds: float) -> None:
        self._sessions = sessions
        self._operation = OperationInternalServiceStub(operation)
        self._resend_seconds = resend_seconds

    async def record(self, session: AsyncSession, request: messages.StartOperationRequest, resource_id: str, body: object) -> str | None:
        """Record ``request``; returns the first call's resource where this is a repeat, None where it is new.

        Raises ALREADY_EXISTS if the request id came with another body before.
        """
        digest = hashlib.sha256(json.dumps([int(request.kind), request.collection_id, body], sort_keys=True).encode()).hexdigest()
        start = Start(id=_operation_id(request), body_hash=digest, resource_id=resource_id, request=request.SerializeToString())
        recognised, first = await starts.recognise(session, start)
        if recognised is starts.Recognised.REUSED:
            raise Failure(
                StatusCode.ALREADY_EXISTS,
                ErrorReason.ERROR_REASON_REQUEST_ID_REUSED,
                "this request_id was used for another request",
                field="request_id",
            )
        return first if recognised is starts.Recognised.REPEAT else None

    async def send(self, request: messages.StartOperationRequest) -> operation_pb2.Operation:
        """Send recorded work; while operation cannot be reached, the answer is the operation as it will be."""
        try:
            answer = await self._operation.StartOperation(request, timeout=_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (StatusCode.UNAVAILABLE, StatusCode.DEADLINE_EXCEEDED):
                raise
            log.warning("operation cannot be reached; the work will be sent again")
            return operation_pb2.Operation(
                id=_operation_id(request),
                collection_id=request.collection_id,
                source_id=request.source_id,
                user_id=request.principal.user_id,
                kind=request.kind,
                state=operation_pb2.Operation.STATE_QUEUED,
            )
        async with self._sessions.begin() as session:
            await starts.acknowledge(session, _operation_id(request))
        return answer.operation

    async def run(self) -> None:
        """Send what was not acknowledged, for ever."""
        while True:
            try:
                async with self._sessions.begin() as session:
                    await starts.prune(session, _KEEP_DAYS)
                    waiting = await starts.unacknowledged(session, self._resend_seconds)
                for start in waiting:
                    await self.send(messages.StartOperationRequest.FromString(start.request))
            except Exception as error:  # noqa: BLE001 - the next round tries again
                log.warning("cannot send work to operation: %s", type(error).__name__)
            await asyncio.sleep(self._resend_seconds)


def _operation_id(request: messages.StartOperationRequest) -> str:
    """Return the id operation will give the work: UUIDv5 of user and request id."""
    return str(uuid.uuid5(uuid.UUID(request.principal.user_id), request.request_id))
