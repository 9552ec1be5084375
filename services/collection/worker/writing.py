"""Writes batches of documents: into the index unseen, into the tables, then shown; and what a cut-off write has left."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import new_id
from services.collection.store.indexing import commits, vectors, worklist, writes
from services.collection.store.indexing.commits import Committed, Refused, Running
from services.collection.store.indexing.worklist import Item
from services.collection.tables import IndexState
from services.collection.worker import languages, metrics
from services.collection.worker.job import Job, Target
from services.collection.worker.points import indexed, points
from services.collection.worker.reading import ChunkedDocument

# A write that was begun when the work is stopped may take so long to end; its note in the tables covers what it left.
_END_SECONDS = 5.0


@dataclass(frozen=True)
class Batch:
    """Documents that end together."""

    documents: list[ChunkedDocument] = field(default_factory=list)
    vectors: dict[str, bytes] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        return [document.item for document in self.documents] + [end.item for end in self.refused]


class Writer:
    """Commits batches of one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._ended: list[str] = []
        self._has_language = False
        self.has_committed = False
        """Whether this claim committed anything: from then on no document is blamed for the worker's death."""

    async def write(self, batch: Batch) -> None:
        """Write a batch; a cancellation counts once it has ended, or after five seconds."""
        await _to_its_end(self._write(batch))

    async def _write(self, batch: Batch) -> None:
        job, target = self._job, self._job.target
        write_id = new_id()
        if batch.documents:
            if not self._has_language:
                await languages.begin(job, (document.language for document in batch.documents))
                self._has_language = True
            versions = [(document.item.document_id, document.item.content_version) for document in batch.documents]
            await job.write(lambda session: writes.begin(session, write_id, target.generation, versions))
            with metrics.stage("upsert"), job.progress.begun.writing(batch.documents) as shown:
                chunks = (point for document in batch.documents for point in points(document, batch.vectors))
                await target.index.upsert(chunks, shown.written)
            job.dependencies.failpoint("after_upsert")
        # Points of the contents before.
        await target.index.delete_through(
            (end.item.document_id, end.item.content_version) for end in batch.refused if end.item.content_version > 1
        )
        with metrics.stage("commit"):
            committed = await job.write(lambda session: self._commit(session, batch))
        job.dependencies.failpoint("after_commit")
        if batch.documents:
            await self._show(batch, committed.overtaken, write_id)
        self._count(batch, committed)

    async def _commit(self, session: AsyncSession, batch: Batch) -> Committed:
        job, generation = self._job, self._job.target.generation
        if not self.has_committed:
            await worklist.reset_processing(session, generation)
        await writes.end(session, self._ended)
        done = [indexed(generation, document) for document in batch.documents]
        committed = await commits.commit(session, generation, Running(job.operation_id, job.since), done, batch.refused)
        await vectors.forget(session, generation, {digest for document in batch.documents for digest in document.digests})
        return committed

    async def _show(self, batch: Batch, overtaken: Sequence[Item], write_id: str) -> None:
        """Show what was committed; what was deleted or changed meanwhile goes from the index unseen."""
        index, lost = self._job.target.index, {item.document_id for item in overtaken}
        versions = [(document.item.document_id, document.item.content_version) for document in batch.documents]
        with metrics.stage("publish"):
            if shown := [version for version in versions if version[0] not in lost]:
                await index.publish(shown)
            await index.delete_versions([version for version in versions if version[0] in lost])
        self._job.dependencies.failpoint("after_delete_old")
        self._ended.append(write_id)

    def _count(self, batch: Batch, committed: Committed) -> None:
        self.has_committed = True
        lost = {item.document_id for item in committed.overtaken}
        documents = [document for document in batch.documents if document.item.document_id not in lost]
        refused = [end for end in batch.refused if end.item.document_id not in lost]
        ended = sum(item.size_bytes for item in batch.items if item.document_id not in lost)
        amounts = {
            "indexed": len(documents),
            "skipped": sum(end.state == IndexState.SKIPPED for end in refused) - len(committed.reopened),
            "failed": sum(end.state == IndexState.FAILED for end in refused),
            "size_bytes": ended - sum(each.size_bytes for each in committed.reopened),
            "chunks": sum(len(document.chunks) for document in documents),
            "tokens": sum(document.token_count for document in documents),
        }
        metrics.documents.labels("indexed", "").inc(amounts["indexed"])
        metrics.chunks.inc(amounts["chunks"])
        for end in refused:
            metrics.documents.labels(end.state.lower(), end.reason).inc()
        self._job.progress.ended(batch.items, amounts)

    async def close(self) -> None:
        """Forget the notes of the last writes."""
        if self._ended:
            await self._job.write(lambda session: writes.end(session, self._ended))
            self._ended = []


async def finish_writes(job: Job, target: Target) -> None:
    """Finish what cut-off writes have left in an index: show what was committed, delete the rest."""
    while unfinished := await job.read(lambda session: writes.unfinished(session, target.generation)):
        await target.index.publish([version for write in unfinished for version in write.committed])
        await target.index.delete_versions([version for write in unfinished for version in write.uncommitted])
        await job.write(lambda session, ended=unfinished: writes.end(session, [write.id for write in ended]))  # type: ignore[misc]


async def _to_its_end(work: Coroutine[object, object, None]) -> None:
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            await asyncio.wait([task], timeout=_END_SECONDS)
        task.cancel()
        await asyncio.wait([task], timeout=_END_SECONDS)
        raise
