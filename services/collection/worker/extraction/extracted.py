"""What extraction returns, or raises, for one file."""

import sys
from dataclasses import dataclass, field

from services.collection.landmarks import Landmarks

# How much of a text its language is told by.
LANGUAGE_CHARACTERS = 2000


class UnreadableError(Exception):
    """A document without text; ``reason`` is one of the contract's document reasons, ``skip`` tells it from a failure."""

    def __init__(self, reason: str, message: str, *, skip: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.skip = skip


@dataclass
class Extracted:
    """A file's text, what its format knows of it, and its language (BCP 47), empty where that is not sure."""

    text: str
    mime_type: str
    landmarks: Landmarks = field(default_factory=Landmarks)
    is_truncated: bool = False
    language: str = ""

    @property
    def size_bytes(self) -> int:
        """The memory it occupies, to bound queues by; costs the same whatever its size."""
        return sys.getsizeof(self.text) + self.landmarks.size_bytes
