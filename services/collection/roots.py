"""Which directories may become sources, and what no source reaches: the mesh's own files."""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason

# Links in these lead to wherever the service itself happens to be.
_KERNEL = (Path("/proc"), Path("/sys"), Path("/dev"))
Identity = tuple[int, int]  # a file's device and inode


@dataclass(frozen=True)
class Roots:
    """``allowed`` are the directories below which sources may lie; nothing in ``own`` is ever read. Both without symbolic links."""

    allowed: Sequence[Path]
    own: Sequence[Path] = ()

    def anywhere(self) -> "Roots":
        """Return what the operator of the mesh may add: all but the mesh's own."""
        return replace(self, allowed=(Path("/"),))

    def permit(self, path: Path) -> bool:
        """Return whether a path without symbolic links may be a source, as far as its name tells."""
        return any(path.is_relative_to(root) for root in self.allowed) and not any(path.is_relative_to(own) for own in self.own)

    def own_directories(self) -> frozenset[Identity]:
        """Return what the mesh's own directories are to the system, whatever path, link or mount leads to them."""
        return frozenset(_identities(self.own))

    def own_linked_files(self) -> frozenset[Identity]:
        """Return the mesh's own files that have another name somewhere: a hard link is the file itself."""
        return frozenset(
            (status.st_dev, status.st_ino)
            for own in self.own
            for folder, _, names in os.walk(own)
            for name in names
            if (status := _status(Path(folder, name))) and status.st_nlink > 1
        )


def resolve_allowed(path: str, roots: Roots) -> Path:
    """Return ``path`` with symbolic links resolved; it asks the file system, so call it in a thread.

    Raises PATH_NOT_ALLOWED, the same for every path outside the roots, for the mesh's own files, for a pipe, socket or device,
    and for links in a circle.
    """
    try:
        resolved = Path(path).resolve()
        is_allowed = roots.permit(resolved) and not _is_special(resolved)
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
    status = _status(path)
    # Where there is none, the operation says why it cannot be read.
    return status is not None and not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode))


def _identities(paths: Iterable[Path]) -> Iterable[Identity]:
    return ((status.st_dev, status.st_ino) for path in paths if (status := _status(path)))


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
