"""Directories on file systems of a limited size, to be filled and freed."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_BALLAST = ".ballast"
_PART_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Disk:
    """A tmpfs over ``path``. Needs root; without it the directory is an ordinary one that cannot be filled."""

    path: Path
    size_mib: int

    @property
    def is_limited(self) -> bool:
        return os.geteuid() == 0

    def mount(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.is_limited:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size_mib}m,mode=0700", "tmpfs", str(self.path)], check=True)

    def unmount(self) -> None:
        if self.is_limited and self.path.is_mount():
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)

    def fill(self) -> None:
        """Leave no free byte."""
        ballast = os.open(self.path / _BALLAST, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (_PART_BYTES, 4096, 1):
                while True:
                    try:
                        os.write(ballast, bytes(size))
                    except OSError:
                        break
        finally:
            os.close(ballast)

    def free(self) -> None:
        (self.path / _BALLAST).unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return every file but the ballast."""
        return [path for path in self.path.rglob("*") if path.is_file() and path.name != _BALLAST]
