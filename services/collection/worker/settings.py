"""What the ingestion worker reads from its environment."""

import os
import uuid
from typing import Literal

from pydantic import Field

from services.collection.settings import Settings as CollectionSettings


class Settings(CollectionSettings):
    # uvloop forks to start a reader, and beside a busy gRPC a child crashed now and then; asyncio's own loop does not.
    use_uvloop: bool = False
    failpoints: str = ""
    queue: str = "index"
    worker_id: str = Field(default_factory=lambda: f"{os.uname().nodename}-{os.getpid()}-{uuid.uuid4().hex[:6]}")
    long_slots: int = Field(default=2, ge=1)
    short_slots: int = Field(default=1, ge=1)
    report_seconds: float = Field(default=0.5, gt=0)
    stall_seconds: float = Field(default=300.0, gt=0)
    extraction_processes: int = Field(default=2, ge=1)
    extraction_seconds: float = Field(default=60.0, gt=0)
    extraction_memory_mib: int = Field(default=1024, ge=128)
    # "required" refuses to start where the child cannot be locked in; "best" takes what the system has, and says so.
    extraction_sandbox: Literal["required", "best"] = "best"
    max_file_bytes: int = Field(default=200 * 1024 * 1024, gt=0)
    max_text_characters: int = Field(default=20_000_000, gt=0)
    # Whether the model reads each chunk below its document's name.
    embed_names: bool = True
    # Two of them and the names before their texts are less than 8,192 tokens: what a death may cost.
    batch_tokens: int = Field(default=3840, ge=256)
