"""PURGE: deleted documents go out of every index and the store; their names stay, so that no sync brings them back."""

from sqlalchemy.ext.asyncio import AsyncSession

from semantik.operation.v1.operation_pb2 import Progress
from services.collection.store.indexing import commits, removal
from services.collection.worker import ingestion
from services.collection.worker.job import Job
from services.collection.worker.removing import PAGE, delete_chunks, removed


async def run(job: Job) -> None:
    job.progress.enter(Progress.PHASE_REMOVING)
    while page := await job.read(lambda session: removal.tombstones(session, job.collection_id, PAGE)):
        for target in job.targets:
            await target.index.delete_through(page)
        await delete_chunks(job, [document_id for document_id, _ in page])

        async def purge(session: AsyncSession, page: list[removal.Version] = page) -> int:
            purged = await removal.purge(session, job.collection_id, page)
            await commits.count_operation(session, job.operation_id, job.collection_id, {"removed": purged})
            return purged

        removed(job, await job.write(purge))
    # A duplicate may have taken the place of what was deleted.
    await ingestion.index(job)
