"""What a chunking strategy takes and what it returns."""

import sys
from dataclasses import dataclass, field

from services.collection.chunking.tokens import TokenSpans
from services.collection.landmarks import Landmarks


@dataclass(frozen=True)
class ChunkInput:
    """A text, where its tokens are and what its format knows of it; one pass of the tokenizer serves every strategy."""

    text: str
    spans: TokenSpans
    landmarks: Landmarks = field(default_factory=Landmarks)

    @property
    def size_bytes(self) -> int:
        """The memory it occupies, to bound queues by; costs the same whatever its size."""
        return sys.getsizeof(self.text) + self.spans.size_bytes + self.landmarks.size_bytes


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: ``text`` is ``source[start:end]`` in characters; ``token_count`` leaves special tokens out.

    ``level`` is 0 for what is searched; a hierarchical strategy numbers wider passages from 1 upwards and names the
    passage that contains this one in ``parent_ordinal``.
    """

    ordinal: int
    text: str
    start: int
    end: int
    token_count: int
    page: int
    section: str
    level: int = 0
    parent_ordinal: int | None = None
