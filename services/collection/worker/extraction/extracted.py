"""What extraction returns, or raises, for one file."""

import sys
from dataclasses import dataclass, field

from services.collection.landmarks import Landmarks


class UnreadableError(Exception):
    """A document without text; ``reason`` is one of the contract's document reasons, ``skip`` tells it from a failure."""

    def __init__(self, reason: str, message: str, *, skip: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.skip = skip


@dataclass
class Extracted:
    """A file's text and what its format knows of it."""

    text: str
    mime_type: str
    landmarks: Landmarks = field(default_factory=Landmarks)
    is_truncated: bool = False

    @property
    def size_bytes(self) -> int:
        """The memory it occupies, to bound queues by; costs the same whatever its size."""
        return sys.getsizeof(self.text) + self.landmarks.size_bytes
