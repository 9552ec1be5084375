"""What decides how a text is cut; its digest names the cut."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class ChunkSettings:
    """``size`` limits a chunk and ``overlap`` is shared by neighbours, both in tokens of the model."""

    strategy: str = "recursive"
    size: int = 200
    overlap: int = 40

    def chunking_id(self, digest: str) -> str:
        """Return the name of this cut with the tokenizer of the model ``digest``: equal names, equal chunks."""
        recipe = f"v1:{self.strategy}:{self.size}:{self.overlap}:{digest}"
        return hashlib.sha256(recipe.encode()).hexdigest()[:16]
