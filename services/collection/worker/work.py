"""What each kind of operation does. Every piece may be interrupted and done again."""

from collections import defaultdict

from semantik.operation.v1 import operation_pb2
from services.collection.store import collections, indexing
from services.collection.store import listing as stored
from services.collection.tables import Source, SourceKind
from services.collection.worker.job import Job
from services.collection.worker.listing import Listing, remove
from services.collection.worker.pipeline import Pipeline
from services.collection.worker.progress import Progress

Kind = operation_pb2.Operation.Kind
_REMOVE = 500


async def do(kind: "operation_pb2.Operation.Kind.ValueType", job: Job, progress: Progress) -> None:
    """Do the work of one operation to its end; raises ValueError for a kind this worker does not know."""
    if kind == Kind.KIND_DELETE:
        await _delete_collection(job)
        return
    listing = None
    if kind in (Kind.KIND_INDEX, Kind.KIND_SYNC):
        listing = await _listing(job)
    elif kind == Kind.KIND_PURGE:
        progress.phase = operation_pb2.Progress.PHASE_REMOVING
        await _purge(job, progress)
    elif kind == Kind.KIND_REMOVE_SOURCE:
        progress.phase = operation_pb2.Progress.PHASE_REMOVING
        await _remove_source(job, progress)
    elif kind != Kind.KIND_APPEND:
        raise ValueError(f"unknown kind of operation {kind}")
    progress.phase = operation_pb2.Progress.PHASE_INDEXING
    if listing is not None:
        await Pipeline(job, listing.take_in).run()
        await listing.tidy()
    await _clear(job)
    await Pipeline(job).run()
    progress.phase = operation_pb2.Progress.PHASE_FINISHING


async def _listing(job: Job) -> Listing | None:
    async with job.tools.sessions() as session:
        source = await session.get(Source, job.source_id) if job.source_id else None
    if source is None or source.delete_time is not None or source.kind != SourceKind.DIRECTORY:
        return None
    return Listing(job, source)


async def _clear(job: Job) -> None:
    """Take out of the index what has become a duplicate or a failure, and let orphaned duplicates in."""
    while True:
        async with job.tools.sessions() as session:
            ids = await indexing.left_behind(session, job.collection_id, _REMOVE)
        if not ids:
            break
        await job.index.delete(ids)
        async with job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, job.collection_id, job.fence)
            await indexing.forget_indexes(session, ids)
    async with job.tools.sessions.begin() as session:
        await indexing.hold_fence(session, job.collection_id, job.fence)
        await stored.promote_orphans(session, job.collection_id)


async def retract(job: Job) -> None:
    """Take out of the index what a worker that died had written of documents it never committed."""
    after = ""
    while True:
        async with job.tools.sessions() as session:
            page = await indexing.open_versions(session, job.collection_id, after, _REMOVE)
        if not page:
            return
        if not after:
            await job.index.open(job.generation.dimension)
        after = page[-1][0]
        by_version: dict[int, list[str]] = defaultdict(list)
        for document_id, version in page:
            by_version[version].append(document_id)
        for version, ids in by_version.items():
            await job.index.delete(ids, keep_below=version)


async def _purge(job: Job, progress: Progress) -> None:
    """Take deleted documents out of the index and the store; their names stay as tombstones."""
    while True:
        async with job.tools.sessions() as session:
            ids = await indexing.deleted_documents(session, job.collection_id, _REMOVE)
        if not ids:
            return
        await job.index.delete(ids)
        await _delete_objects(job, ids)
        async with job.tools.sessions.begin() as session:
            await indexing.hold_fence(session, job.collection_id, job.fence)
            await indexing.forget_deleted(session, job.collection_id, ids)
        progress.removed += len(ids)


async def _remove_source(job: Job, progress: Progress) -> None:
    while True:
        async with job.tools.sessions() as session:
            ids = await indexing.documents_of(session, job.source_id or "", _REMOVE)
        if not ids:
            break
        await _delete_objects(job, ids)
        await remove(job, ids)
        progress.removed += len(ids)
    async with job.tools.sessions.begin() as session:
        await indexing.hold_fence(session, job.collection_id, job.fence)
        await indexing.remove_source(session, job.source_id or "")


async def _delete_objects(job: Job, document_ids: list[str]) -> None:
    for document_id in document_ids:
        await job.tools.objects.delete_below(f"{job.collection_id}/{document_id}")


async def _delete_collection(job: Job) -> None:
    """Remove a collection: its indexes, its objects, its rows, in this order, so that a repeat finds what is left."""
    async with job.tools.sessions() as session:
        names = [generation.qdrant_name for generation in await collections.generations(session, job.collection_id)]
    for name in names:
        await job.index.drop(name)
    await job.tools.objects.delete_below(job.collection_id)
    async with job.tools.sessions.begin() as session:
        await indexing.remove_collection(session, job.collection_id)
