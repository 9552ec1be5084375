"""What the collection service reads from its environment."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import Field

from libs.db.engine import DatabaseSettings
from services.collection.operator import Operator
from services.collection.roots import Roots


class Settings(DatabaseSettings):
    objects_url: str
    redis_url: str = ""
    allowed_roots: str = ""
    max_upload_bytes: int = Field(default=200 * 1024 * 1024, gt=0)
    default_chunk_size: int = 200

    own_directories: str = ""
    operator_capability_file: Path | None = None

    @property
    def roots(self) -> Roots:
        """The directories below which sources may lie; what is the mesh's own is none: its objects, its keys, what else is named."""
        own = [*_paths(self.own_directories), self.mesh_key_file.resolve()]
        if (objects := urlsplit(self.objects_url)).scheme == "file":
            own.append(Path(unquote(objects.path)).resolve())
        return Roots(_paths(self.allowed_roots), own)

    def operator(self) -> Operator:
        """Return who may add sources outside the roots: whoever can read the file of the capability."""
        file = self.operator_capability_file
        return Operator(file.read_text().strip() if file else "")


def _paths(joined: str) -> list[Path]:
    return [Path(path).resolve() for path in joined.split(os.pathsep) if path]
