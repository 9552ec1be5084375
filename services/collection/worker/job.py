"""One claim with everything its work needs, and the only ways in which that work reaches the database."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import grpc
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.work.failpoints import Failpoint
from libs.work.report import Report
from libs.work.retry import patiently
from services.collection.objects import Objects
from services.collection.store.indexing.fences import fenced
from services.collection.tables import Generation
from services.collection.worker.embedder import Embedder
from services.collection.worker.extraction.pool import ExtractionPool
from services.collection.worker.index import Index
from services.collection.worker.progress import Progress
from services.collection.worker.settings import Settings

_T = TypeVar("_T")
_POSTGRES = "the database"


@dataclass(frozen=True)
class Dependencies:
    """What all jobs of a process share."""

    settings: Settings
    sessions: Sessions
    objects: Objects
    extraction: ExtractionPool
    embedder: Embedder
    search: grpc.aio.Channel
    failpoint: Failpoint


@dataclass(frozen=True)
class Target:
    """A generation that is written, with its index under the claim's fence."""

    generation: Generation
    index: Index


@dataclass(frozen=True)
class Job:
    """A claimed operation on a collection."""

    dependencies: Dependencies
    operation_id: str
    collection_id: str
    source_id: str | None
    fence: int
    """The claim's number; every write carries it."""
    since: datetime
    """When the operation was first claimed."""
    targets: tuple[Target, ...]
    """The live generations, the active one first: removals reach all of them."""
    progress: Progress
    report: Report

    @property
    def target(self) -> Target:
        """The active generation, the one that is indexed."""
        return self.targets[0]

    async def write(self, body: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
        """Return what ``body`` returns, done in one fenced transaction.

        It is repeated while the database is away, also after a commit whose answer was lost: ``body`` must be repeatable.
        Raises FencedError once a newer claim has begun.
        """

        async def attempt() -> _T:
            async with fenced(self.dependencies.sessions, self.collection_id, self.fence) as session:
                return await body(session)

        result = await patiently(attempt, self.report, _POSTGRES)
        self.report.advanced()
        return result

    async def read(self, body: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
        """Return what ``body`` reads; repeated while the database is away."""

        async def attempt() -> _T:
            async with self.dependencies.sessions() as session:
                return await body(session)

        return await patiently(attempt, self.report, _POSTGRES)
