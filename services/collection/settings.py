"""What the collection service reads from its environment."""

import os
from pathlib import Path

from pydantic import Field

from libs.db.engine import DatabaseSettings


class Settings(DatabaseSettings):
    objects_url: str
    redis_url: str = ""
    allowed_roots: str = ""
    max_upload_bytes: int = Field(default=200 * 1024 * 1024, gt=0)
    default_chunk_size: int = 200

    @property
    def roots(self) -> list[Path]:
        """The directories below which sources may lie, symbolic links resolved."""
        return [Path(root).resolve() for root in self.allowed_roots.split(os.pathsep) if root]
