"""Gives back the memory of files that are mostly holes."""

import ctypes
import os
import re
import sys
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_SHARED = re.compile(rb"([0-9a-f]+)-([0-9a-f]+) ...s \S+ \S+ \S+ +(.+)")
_MADV_DONTNEED = 4
_SECTOR = 512  # what st_blocks counts, everywhere
_SPARSE = 4


def release_holes(folder: Path) -> None:
    """Give back the pages of the mapped files below ``folder`` of which less than a quarter is on disk.

    The engine makes its files large at once and, when it opens them, reads all of them: 124 MiB for a collection of a hundred
    points. The files' contents stay as they are, and a page that is used again is read again. Does nothing but on Linux.
    """
    if sys.platform != "linux":
        return
    below = f"{folder.resolve()}/".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    for line in _MAPS.read_bytes().splitlines():
        found = _SHARED.match(line) if below in line else None
        if found is not None and _is_sparse(path := found[3]):
            start, end = int(found[1], 16), int(found[2], 16)
            libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
            _forget(path)


def _is_sparse(path: bytes) -> bool:
    try:
        state = os.stat(path)  # noqa: PTH116 - as the kernel writes it, in bytes
    except FileNotFoundError:
        return False
    return state.st_blocks * _SECTOR * _SPARSE < state.st_size


def _forget(path: bytes) -> None:
    """Drop the file's clean pages from the cache."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
