"""What the embedding service reads from its environment."""

import os
from pathlib import Path

from pydantic import Field

from libs.rpc.settings import MeshSettings


class Settings(MeshSettings):
    model_dir: Path
    default_model: str = "all-minilm-l6-v2"
    bulk_threads: int = Field(default=0, ge=0)  # 0: one for each core
    batch_tokens: int = Field(default=1024, ge=64)
    bulk_queue_tokens: int = Field(default=400_000, ge=1)
    interactive_queue_tokens: int = Field(default=20_000, ge=1)

    @property
    def threads(self) -> int:
        return self.bulk_threads or os.cpu_count() or 1
