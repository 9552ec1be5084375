"""What one user may keep, so that no one fills the database."""

from collections.abc import Sequence

from google.protobuf.message import Message
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason

MOST_SETS = 20
MOST_QUERIES = 10_000
MOST_JUDGEMENTS = 100_000
MOST_OF_A_QUERY = 1000
MOST_BYTES = 16 * 1024 * 1024
MOST_EVALUATIONS = 50
# A page ends before its messages are larger, so that an answer is never too large to be sent.
PAGE_BYTES = 4 * 1024 * 1024


def require_below(count: int, most: int, what: str) -> None:
    """Raise RESOURCE_EXHAUSTED once ``count`` is above ``most``."""
    if count > most:
        message = f"there may be at most {most:,} {what.replace('_', ' ')}; delete some that you do not need"
        raise Failure(StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_QUOTA_EXCEEDED, message, {"limit": what})


def fitting(messages: Sequence[Message], size: int) -> int:
    """Return how many messages make a page of ``size``; one at least, if there is one."""
    total = 0
    for number, message in enumerate(messages[:size]):
        total += message.ByteSize()
        if number and total > PAGE_BYTES:
            return number
    return size
