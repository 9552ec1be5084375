"""INDEX and SYNC: a source is read; what is new or changed is indexed, what is gone is removed."""

from semantik.operation.v1.operation_pb2 import Progress
from services.collection.store import sources
from services.collection.worker import ingestion
from services.collection.worker.job import Job
from services.collection.worker.removing import remove_stale
from services.collection.worker.sync import Sync


async def run(job: Job) -> None:
    source = await job.read(lambda session: sources.get(session, job.source_id or ""))
    if source is None:
        return
    job.progress.enter(Progress.PHASE_LISTING)
    sync = Sync(job, source, ingestion.open_connector(job, source))
    await ingestion.index(job, sync.scan)
    job.progress.enter(Progress.PHASE_REMOVING)
    await sync.reconcile()
    await remove_stale(job)
    # What moved is indexed under its new path, and a duplicate takes the place of what went.
    await ingestion.index(job)
    job.progress.enter(Progress.PHASE_FINISHING)
