"""Rows as messages of the contract, and back."""

import hashlib
import json
import uuid
from typing import Any

from google.protobuf import json_format, struct_pb2
from google.rpc import status_pb2

from libs.rpc.timestamps import duration, timestamp
from semantik.auth.v1 import principal_pb2
from semantik.operation.v1 import operation_internal_service_pb2 as internal
from semantik.operation.v1 import operation_pb2, operation_service_pb2
from services.operation.tables import Operation, State

DEFAULT_QUEUE = "index"


def watch_message(row: Operation) -> operation_service_pb2.WatchOperationResponse:
    return operation_service_pb2.WatchOperationResponse(operation=operation_message(row))


def operation_message(row: Operation) -> operation_pb2.Operation:
    return operation_pb2.Operation(
        id=row.id,
        collection_id=row.collection_id or "",
        source_id=row.source_id or "",
        user_id=row.user_id,
        kind=operation_pb2.Operation.Kind.Value(f"KIND_{row.kind}"),
        state=operation_pb2.Operation.State.Value(f"STATE_{row.state}"),
        progress=json_format.ParseDict(row.progress, operation_pb2.Progress()),
        error=json_format.ParseDict(row.error, status_pb2.Status()) if row.error else None,
        wait_reason=row.wait_reason,
        waits_for_operation_id=row.waits_for_operation_id or "",
        operations_ahead=row.operations_ahead,
        attempt=row.attempt,
        retry_of=row.retry_of or "",
        revision=row.revision,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        start_time=timestamp(row.start_time),
        finish_time=timestamp(row.finish_time),
    )


def progress_row(message: operation_pb2.Progress) -> dict[str, Any]:
    """Return the progress as a row holds it: numbers as numbers, zeros left out."""
    row: dict[str, Any] = {}
    for field, value in message.ListFields():
        row[field.name] = json_format.MessageToDict(value) if field.message_type and not field.is_repeated else value
    if message.HasField("remaining"):
        row["remaining"] = json_format.MessageToJson(message.remaining).strip('"')
    return row


def error_row(message: status_pb2.Status) -> dict[str, Any]:
    row: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return row


def start_row(request: internal.StartOperationRequest) -> dict[str, Any]:
    """Return the values of a new row; its id follows from user and request id, so that a repeat finds it."""
    row: dict[str, Any] = {
        "id": str(uuid.uuid5(uuid.UUID(request.principal.user_id), request.request_id)),
        "collection_id": request.collection_id or None,
        "source_id": request.source_id or None,
        **_asked_by(request.principal),
        "kind": operation_pb2.Operation.Kind.Name(request.kind).removeprefix("KIND_"),
        "queue": request.queue or DEFAULT_QUEUE,
        "priority": request.priority,
        "config": json_format.MessageToDict(request.config),
    }
    body = {name: row[name] for name in ("collection_id", "source_id", "kind", "queue", "priority", "config")}
    row["request_hash"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return row


def retry_row(row: Operation, principal: principal_pb2.Principal) -> dict[str, Any]:
    """Return the values of the row that repeats ``row``; its id follows from the operation and the user.

    No request id of a user leads to the same id: those are in the user's own namespace.
    """
    repeated = ("collection_id", "source_id", "kind", "queue", "priority", "config", "request_hash")
    return {
        "id": str(uuid.uuid5(uuid.UUID(row.id), f"retry:{principal.user_id}")),
        **{name: getattr(row, name) for name in repeated},
        **_asked_by(principal),
        "retry_of": row.id,
    }


def _asked_by(principal: principal_pb2.Principal) -> dict[str, Any]:
    return {"user_id": principal.user_id, "principal": json_format.MessageToDict(principal, preserving_proto_field_name=True)}


def claim_message(row: Operation, lease_seconds: float, *, is_last_settle: bool) -> internal.Claim:
    """Return the claim of a row; ``lease_seconds`` is what a worker can count on after each report."""
    claim = internal.Claim(
        operation=operation_message(row),
        fence=row.fence,
        lease=duration(lease_seconds),
        directive=internal.DIRECTIVE_SETTLE if row.settle_state else internal.DIRECTIVE_CONTINUE,
        config=json_format.ParseDict(row.config, struct_pb2.Struct()),
        principal=json_format.ParseDict(row.principal, principal_pb2.Principal()),
    )
    if row.settle_state:
        claim.settle_state = operation_pb2.Operation.State.Value(f"STATE_{row.settle_state}")
        claim.is_last_settle = is_last_settle
    return claim


def state_of(state: "operation_pb2.Operation.State.ValueType") -> State:
    """Return a state of the contract as rows hold it."""
    return State(operation_pb2.Operation.State.Name(state).removeprefix("STATE_"))
