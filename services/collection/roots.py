"""Which directories may become sources."""

import stat
from pathlib import Path

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason


def allowed(path: str, roots: list[Path]) -> Path:
    """Return ``path`` with symbolic links resolved.

    Raises PATH_NOT_ALLOWED, the same for every path outside the roots and for a pipe, socket or device.
    """
    resolved = Path(path).resolve()
    if not any(resolved.is_relative_to(root) for root in roots) or _is_special(resolved):
        raise Failure(
            StatusCode.PERMISSION_DENIED,
            ErrorReason.ERROR_REASON_PATH_NOT_ALLOWED,
            "the path is outside the directories this installation allows; upload the files instead",
        )
    return resolved


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # the operation will say why it cannot be read
    return not (stat.S_ISDIR(mode) or stat.S_ISREG(mode))
