"""The refusals that more than one room gives."""

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason


def overloaded(message: str, seconds: float) -> Failure:
    """Return RESOURCE_EXHAUSTED with ``seconds`` as RetryInfo: too much waits already."""
    return Failure(StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED, message, retry_after=seconds)


def draining() -> Failure:
    """Return UNAVAILABLE for what the end of this process cuts short; another replica, or the next process, does it."""
    return Failure(StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DRAINING, "shutting down; try again", retry_after=0.1)
