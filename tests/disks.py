"""Small disks that tests may fill: a tmpfs of limited size, which only root may mount."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

WHY_NOT = "mounting a disk of limited size needs root on Linux"
_BLOCK = 64 * 1024


@dataclass(frozen=True)
class Disk:
    """A mounted disk. Whatever is below ``path`` when it is unmounted is gone."""

    path: Path

    @property
    def ballast(self) -> Path:
        return self.path / ".ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Take all the room but ``leave_bytes``, so that the next write of more is refused (ENOSPC)."""
        with self.ballast.open("ab", buffering=0) as file:
            while (count := min(_BLOCK, shutil.disk_usage(self.path).free - leave_bytes)) > 0:
                try:
                    file.write(b"\0" * count)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    return

    def free(self) -> None:
        """Give back what ``fill`` took."""
        self.ballast.unlink(missing_ok=True)


@contextmanager
def mounted(path: Path, mib: int, owner: int | None = None) -> Iterator[Disk]:
    """Mount an empty disk of ``mib`` MiB on the directory ``path``, entered by ``owner`` (a uid) alone; needs ``can_mount``."""
    path.mkdir(parents=True, exist_ok=True)
    user = os.geteuid() if owner is None else owner
    _run("mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700,uid={user}", "tmpfs", str(path))
    try:
        yield Disk(path)
    finally:
        _run("umount", "--lazy", str(path))  # a process that is being killed may still hold a file


@cache
def can_mount() -> bool:
    """Return whether this process may mount, tried once."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            with mounted(Path(directory), 1):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
