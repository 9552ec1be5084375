"""Which directories may become sources."""

from pathlib import Path

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason


def allowed(path: str, roots: list[Path]) -> Path:
    """Return ``path`` with symbolic links resolved; raises PATH_NOT_ALLOWED, the same for every path outside the roots."""
    resolved = Path(path).resolve()
    if not any(resolved.is_relative_to(root) for root in roots):
        raise Failure(
            StatusCode.PERMISSION_DENIED,
            ErrorReason.ERROR_REASON_PATH_NOT_ALLOWED,
            "the path is outside the directories this installation allows; upload the files instead",
        )
    return resolved
