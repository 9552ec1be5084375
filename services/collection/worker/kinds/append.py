"""APPEND and RETRY: documents that were uploaded, or that are tried again, are indexed."""

from semantik.operation.v1.operation_pb2 import Progress
from services.collection.worker import ingestion
from services.collection.worker.job import Job
from services.collection.worker.removing import remove_stale


async def run(job: Job) -> None:
    job.progress.enter(Progress.PHASE_INDEXING)
    await ingestion.index(job)
    await remove_stale(job)
    # What was refused may have duplicates that take its place.
    await ingestion.index(job)
    job.progress.enter(Progress.PHASE_FINISHING)
