"""One claimed operation with everything its work needs."""

from dataclasses import dataclass
from datetime import datetime

from libs.db.engine import Sessions
from services.collection.objects import Objects
from services.collection.tables import Generation
from services.collection.worker.extraction.pool import ExtractionPool
from services.collection.worker.peers import Embedder, Index
from services.collection.worker.settings import Settings


@dataclass(frozen=True)
class Tools:
    """What every job shares; made once a process."""

    settings: Settings
    sessions: Sessions
    objects: Objects
    extraction: ExtractionPool
    embedder: Embedder


@dataclass(frozen=True)
class Job:
    """``fence`` numbers the claim; ``since`` is when the operation was first claimed."""

    tools: Tools
    operation_id: str
    collection_id: str
    source_id: str | None
    fence: int
    since: datetime
    generation: Generation
    index: Index
