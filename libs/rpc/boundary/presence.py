"""Who else has called lately: whoever is alone may use the whole computer."""

import mmap
import os
import struct
import time
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

_ABOUT_SECONDS = 5.0
_RECORD = struct.Struct("=8sd8sd")
_NOBODY = bytes(_RECORD.size)


class Presence:
    """Remembers the last caller, and the last one before who was another.

    The processes of a machine share it through ``path``, because they share the processor; without one it is this process's own.
    Nothing is locked: a record that is torn is wrong for one call.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._record = bytearray(_NOBODY) if path is None else _mapped(path)

    def note(self, who: str) -> None:
        """Remember who calls now."""
        name, now = _name(who), time.monotonic()
        last, last_time, other, other_time = _RECORD.unpack(self._record)
        if name != last:
            other, other_time = last, last_time
        self._record[:] = _RECORD.pack(name, now, other, other_time)

    def others_are_about(self, who: str) -> bool:
        """Return whether somebody else has called within 5 s."""
        last, last_time, _, other_time = _RECORD.unpack(self._record)
        since: float = time.monotonic() - (other_time if last == _name(who) else last_time)
        return since < _ABOUT_SECONDS


@lru_cache(1024)
def _name(who: str) -> bytes:
    return blake2b(who.encode(), digest_size=8).digest()


def _mapped(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.ftruncate(descriptor, _RECORD.size)
        return mmap.mmap(descriptor, _RECORD.size)
    finally:
        os.close(descriptor)
