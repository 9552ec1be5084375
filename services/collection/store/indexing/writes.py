"""Writes to an index that are under way, so that a successor finds what a worker that died has left there."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import any_, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import texts
from services.collection.tables import DocumentIndex, Generation, IndexWrite

Version = tuple[str, int]  # a document's id and content version


async def begin(session: AsyncSession, write_id: str, generation: Generation, versions: Sequence[Version]) -> None:
    """Note a write before its first point; the same id again changes nothing."""
    row = {
        "id": write_id,
        "collection_id": generation.collection_id,
        "generation": generation.generation,
        "document_ids": [document_id for document_id, _ in versions],
        "content_versions": [version for _, version in versions],
    }
    await session.execute(insert(IndexWrite).values(**row).on_conflict_do_nothing())


async def end(session: AsyncSession, write_ids: Sequence[str]) -> None:
    """Forget writes whose documents are published."""
    if write_ids:
        await session.execute(delete(IndexWrite).where(IndexWrite.id == any_(texts(write_ids))))


@dataclass(frozen=True)
class Unfinished:
    """A write that was cut off: what was committed is to be published, the rest deleted from the index."""

    id: str
    committed: list[Version]
    uncommitted: list[Version]


async def unfinished(session: AsyncSession, generation: Generation, limit: int = 100) -> list[Unfinished]:
    """List writes to a generation that were begun and not ended, oldest first."""
    here = (IndexWrite.collection_id == generation.collection_id, IndexWrite.generation == generation.generation)
    writes = (await session.scalars(select(IndexWrite).where(*here).order_by(IndexWrite.id).limit(limit))).all()
    document_ids = {document_id for write in writes for document_id in write.document_ids}
    rows = select(DocumentIndex.document_id, DocumentIndex.indexed_version).where(
        DocumentIndex.generation == generation.generation, DocumentIndex.document_id == any_(texts(document_ids))
    )
    indexed = set((await session.execute(rows)).all())
    result = []
    for write in writes:
        versions = list(zip(write.document_ids, write.content_versions, strict=True))
        committed = [version for version in versions if version in indexed]
        result.append(Unfinished(write.id, committed, [version for version in versions if version not in indexed]))
    return result
