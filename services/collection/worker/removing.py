"""Takes documents out of every live index, then out of the tables, in pages."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from services.collection.store.indexing import commits, removal
from services.collection.worker import metrics
from services.collection.worker.job import Job

PAGE = 500
# A statement reads the keys of all chunks of its documents, whatever it deletes of them.
_CHUNK_DOCUMENTS = 50


async def remove_documents(job: Job, document_ids: Sequence[str]) -> None:
    """Remove documents with their rows; duplicates take the place of originals."""
    for start in range(0, len(document_ids), PAGE):
        page = document_ids[start : start + PAGE]
        for target in job.targets:
            await target.index.delete(page)
        await delete_chunks(job, page)

        async def delete(session: AsyncSession, page: Sequence[str] = page) -> None:
            await removal.delete_documents(session, job.collection_id, page)
            await commits.count_operation(session, job.operation_id, job.collection_id, {"removed": len(page)})

        await job.write(delete)
        removed(job, len(page))


async def delete_chunks(job: Job, document_ids: Sequence[str]) -> None:
    """Delete the chunks of documents that go, a few thousand to a transaction, a few documents to a statement."""
    for start in range(0, len(document_ids), _CHUNK_DOCUMENTS):
        page = document_ids[start : start + _CHUNK_DOCUMENTS]
        while await job.write(lambda session, ids=page: removal.delete_chunks(session, job.collection_id, ids)):  # type: ignore[misc]
            pass


async def remove_stale(job: Job) -> None:
    """Take out of the indexes what documents that are no longer indexed have left there."""
    for target in job.targets:
        while page := await job.read(lambda session, each=target: removal.stale(session, each.generation, PAGE)):  # type: ignore[misc]
            await target.index.delete(page)
            await job.write(lambda session, each=target, ids=page: removal.delete_stale(session, each.generation, ids))  # type: ignore[misc]


def removed(job: Job, documents: int) -> None:
    """Show and count documents that were removed."""
    metrics.documents.labels("removed", "").inc(documents)
    job.progress.committed({"removed": documents})
