"""Brings what was noted on documents to the indexes that show something else, without reading or embedding them again."""

from semantik.search.v1.index_pb2 import DocumentMetadata
from services.collection.metadata import messages
from services.collection.store import metadata
from services.collection.worker.job import Job

_PAGE = 100


async def show(job: Job) -> None:
    """Set the metadata of documents in every live index that does not have it yet."""
    for target in job.targets:
        while page := await job.read(lambda session, target=target: metadata.stale(session, target.generation, _PAGE)):  # type: ignore[misc]
            await target.index.set_metadata(
                [DocumentMetadata(document_id=each.document_id, metadata=messages(each.metadata)) for each in page]
            )
            job.dependencies.failpoint("after_metadata")
            await job.write(lambda session, target=target, page=page: metadata.shown(session, target.generation, page))  # type: ignore[misc]
