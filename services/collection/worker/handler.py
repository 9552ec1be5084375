"""What the ingestion worker does with a claim: opens the collection under its fence, works, and settles."""

from collections.abc import Sequence
from datetime import UTC

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.rpc.errors import Failure
from libs.work.errors import WorkFailedError
from libs.work.outcome import Done, Failed, Settled, Settling, Stopped
from libs.work.report import Report
from libs.work.retry import patiently
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_pb2
from semantik.operation.v1.operation_internal_service_pb2 import DIRECTIVE_CANCEL, Claim
from semantik.operation.v1.operation_pb2 import Operation
from services.collection.store import collections
from services.collection.store.indexing import commits, fences, states, worklist
from services.collection.tables import Collection, Generation
from services.collection.worker import languages, metrics, noted
from services.collection.worker.index import Index
from services.collection.worker.job import Dependencies, Job, Target
from services.collection.worker.kinds import KINDS
from services.collection.worker.progress import Progress
from services.collection.worker.writing import finish_writes

_CANCELLED = (Stopped(DIRECTIVE_CANCEL), Settled(Operation.STATE_CANCELLED))
_TOO_OFTEN = "the work failed too often; sync the source or retry the operation"


class IngestionHandler:
    """Handles the operations of collections."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def run(self, claim: Claim, report: Report) -> None:
        """Do the work of one operation; a collection that is gone leaves nothing to do."""
        work = KINDS.get(claim.operation.kind)
        if work is None:
            name = Operation.Kind.Name(claim.operation.kind)
            message = f"this worker does no operations of kind {name}"
            raise WorkFailedError(Failure(StatusCode.UNIMPLEMENTED, ErrorReason.ERROR_REASON_INTERNAL, message).proto())
        job = await self._open(claim, report)
        if job is None:
            return
        await self._count_deaths(job)
        if claim.operation.kind != Operation.KIND_DELETE:
            await _open_indexes(job)
        async with job.progress.ticking():
            await work(job)
            if claim.operation.kind != Operation.KIND_DELETE:
                await noted.show(job)
                await languages.settle(job)

    async def settle(self, claim: Claim, outcome: Settling, report: Report) -> None:
        """Leave nothing uncommitted in the indexes and set the collection's state."""
        job = await self._open(claim, report)
        if job is None:
            return
        # The last attempt to settle does without the index: what it left there is finished by the next work.
        if claim.operation.kind != Operation.KIND_DELETE and not claim.is_last_settle:
            await _open_indexes(job)
        error, note = _error(outcome), _note(outcome, report.progress)

        async def settle(session: AsyncSession) -> None:
            await worklist.reset_processing(session, job.target.generation)
            await states.settle(session, job.target.generation, job.source_id, error=error, note=note, synced=isinstance(outcome, Done))

        await job.write(settle)

    async def hand_back(self, claim: Claim, report: Report) -> None:
        """Take back the notes of documents in flight: none of them is to blame."""
        async with fences.fenced(self._dependencies.sessions, claim.operation.collection_id, claim.fence) as session:
            for generation in await collections.live_generations(session, claim.operation.collection_id):
                await worklist.reset_processing(session, generation)

    async def _open(self, claim: Claim, report: Report) -> Job | None:
        """Raise the fence on the collection and return the job; None if the collection is gone."""
        operation = claim.operation

        async def raise_fence() -> tuple[Collection, Sequence[Generation], dict[str, int]] | None:
            async with self._dependencies.sessions.begin() as session:
                collection = await fences.raise_fence(session, operation.collection_id, claim.fence)
                if collection is None:
                    return None
                # A deletion also drops what a worker was about to drop.
                is_last = operation.kind == Operation.KIND_DELETE
                listed = collections.generations if is_last else collections.live_generations
                generations = await listed(session, collection.id)
                return collection, generations, await commits.operation_counts(session, operation.id)

        opened = await patiently(raise_fence, report, "the database")
        report.advanced()
        if opened is None:
            return None
        collection, generations, counts = opened
        # The active generation first: it is the one that is indexed.
        generations = sorted(generations, key=lambda generation: generation.generation != collection.generation)
        search = self._dependencies.search
        return Job(
            dependencies=self._dependencies,
            operation_id=operation.id,
            collection_id=collection.id,
            source_id=operation.source_id or None,
            fence=claim.fence,
            since=operation.start_time.ToDatetime(UTC),
            targets=tuple(Target(each, Index(search, each.qdrant_name, claim.fence, report)) for each in generations),
            progress=Progress(report.progress, counts),
            report=report,
        )

    async def _count_deaths(self, job: Job) -> None:
        given_up = await job.write(lambda session: worklist.count_deaths(session, job.target.generation))
        metrics.documents.labels("failed", "POISON").inc(given_up)


async def _open_indexes(job: Job) -> None:
    for target in job.targets:
        await target.index.open(target.generation.dimension, target.generation.language)
        await finish_writes(job, target)


def _note(outcome: Settling, progress: operation_pb2.Progress) -> str:
    """Return what is not indexed because the work was cancelled; empty if nothing is known to be missing."""
    if outcome not in _CANCELLED or progress.documents_done == progress.documents_total > 0:
        return ""
    total = f" of {progress.documents_total:,}" if progress.documents_total else ""
    return f"cancelled at {progress.documents_done:,}{total} documents"


def _error(outcome: Settling) -> str:
    """Return the reason the collection is to show, empty unless the work failed."""
    match outcome:
        case Failed(status):
            return str(status.message)
        case Settled(Operation.STATE_FAILED):
            return _TOO_OFTEN
        case _:
            return ""
