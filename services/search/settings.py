"""What the search service reads from its environment."""

import os
import uuid
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from libs.db.engine import DatabaseSettings


class Settings(DatabaseSettings):
    # Judged queries, evaluations and recent queries alone are in the database; a search does without it.
    database_pool_size: int = 4
    qdrant_url: str
    qdrant_api_key: SecretStr = SecretStr("")
    qdrant_timeout_seconds: int = Field(default=20, ge=1)
    # Of indexes that are created from now on.
    qdrant_shard_number: int | None = Field(default=None, ge=1)
    qdrant_replication_factor: int | None = Field(default=None, ge=1)
    qdrant_write_consistency_factor: int | None = Field(default=None, ge=1)
    qdrant_read_consistency: str | None = Field(default=None, pattern="^(majority|quorum|all|[1-9][0-9]{0,2})$")
    qdrant_write_ordering: Literal["weak", "medium", "strong"] | None = None
    authorization_cache_seconds: float = Field(default=5.0, ge=0)
    worker_id: str = Field(default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    # How many evaluations are at work at once; none leaves them to other replicas.
    evaluation_slots: int = Field(default=1, ge=0)
    evaluation_failpoints: str = ""

    @model_validator(mode="after")
    def _writes_can_be_confirmed(self) -> Self:
        copies, confirmed = self.qdrant_replication_factor, self.qdrant_write_consistency_factor
        if copies is not None and confirmed is not None and confirmed > copies:
            raise ValueError("QDRANT_WRITE_CONSISTENCY_FACTOR asks for more copies than QDRANT_REPLICATION_FACTOR makes")
        return self
