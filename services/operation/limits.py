"""How often work is tried, and the errors it ends with."""

from typing import Any

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.operation.convert import error_row
from services.operation.settings import Settings
from services.operation.store.claims import Limits
from services.operation.tables import Operation


def limits(settings: Settings) -> Limits:
    return Limits(settings.max_attempts, settings.max_settles, _exhausted, _unsettled)


def _exhausted(operation: Operation) -> dict[str, Any]:
    message = f"no progress in {operation.attempt} attempts in a row{_last(operation)}"
    metadata = {"attempts": str(operation.attempt)}
    return error_row(Failure(StatusCode.ABORTED, ErrorReason.ERROR_REASON_ATTEMPTS_EXHAUSTED, message, metadata).proto())


def _unsettled(operation: Operation) -> dict[str, Any]:
    message = f"the collection could not be brought up to date in {operation.settles} attempts{_last(operation)}"
    metadata = {"attempts": str(operation.settles)}
    return error_row(Failure(StatusCode.ABORTED, ErrorReason.ERROR_REASON_SETTLE_FAILED, message, metadata).proto())


def _last(operation: Operation) -> str:
    return f"; the last one ended with: {operation.fault['message']}" if operation.fault else ""
