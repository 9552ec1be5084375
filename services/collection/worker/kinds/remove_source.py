"""REMOVE_SOURCE: the documents of a removed source go from everywhere, then the source."""

from semantik.operation.v1.operation_pb2 import Progress
from services.collection.store.indexing import removal
from services.collection.worker import ingestion
from services.collection.worker.job import Job
from services.collection.worker.removing import PAGE, remove_documents


async def run(job: Job) -> None:
    source_id = job.source_id or ""
    job.progress.enter(Progress.PHASE_REMOVING)
    while page := await job.read(lambda session: removal.documents_of_source(session, source_id, PAGE)):
        await remove_documents(job, page)
    await job.write(lambda session: removal.delete_source(session, source_id))
    # A duplicate in another source may have taken the place of what went.
    await ingestion.index(job)
