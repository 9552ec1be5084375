"""Which directories may become sources."""

import stat
from pathlib import Path

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason

# Links in these lead to wherever the service itself happens to be.
_KERNEL = (Path("/proc"), Path("/sys"), Path("/dev"))


def resolve_allowed(path: str, roots: list[Path]) -> Path:
    """Return ``path`` with symbolic links resolved; it asks the file system, so call it in a thread.

    Raises PATH_NOT_ALLOWED, the same for every path outside the roots, for a pipe, socket or device, and for links in a circle.
    """
    try:
        resolved = Path(path).resolve()
        is_allowed = any(resolved.is_relative_to(root) for root in roots) and not _is_special(resolved)
    except (OSError, RuntimeError, ValueError):  # a circle of links, a name too long, a NUL
        is_allowed = False
    if not is_allowed or any(Path(path).is_relative_to(kernel) for kernel in _KERNEL):
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
        return False  # the operation says why it cannot be read
    return not (stat.S_ISDIR(mode) or stat.S_ISREG(mode))
