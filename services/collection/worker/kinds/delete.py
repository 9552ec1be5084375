"""DELETE: a collection goes: its indexes, what was measured, its objects, its rows, in this order: a repeat finds what is left."""

from libs.work.retry import patiently
from semantik.operation.v1.operation_pb2 import Progress
from services.collection.store.indexing import removal
from services.collection.worker.index import forget_measurements
from services.collection.worker.job import Job
from services.collection.worker.removing import PAGE, delete_chunks, removed


async def run(job: Job) -> None:
    job.progress.enter(Progress.PHASE_REMOVING)
    for target in job.targets:
        await target.index.drop()
    await forget_measurements(job.dependencies.search, job.collection_id, job.report)
    await patiently(lambda: job.dependencies.objects.delete_below(job.collection_id), job.report, "object storage")
    while page := await job.read(lambda session: removal.documents_of_collection(session, job.collection_id, PAGE)):
        await delete_chunks(job, page)
        await job.write(lambda session, ids=page: removal.drop_documents(session, ids))  # type: ignore[misc]
        removed(job, len(page))
    await job.write(lambda session: removal.delete_collection(session, job.collection_id))
