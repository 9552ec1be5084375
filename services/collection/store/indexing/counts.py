"""The counters of collections and sources: moved by what changed, counted in full by nobody but the reconciler."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import any_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import texts
from services.collection.tables import Collection, Document, DocumentIndex, Source


@dataclass(frozen=True)
class Delta:
    """How many documents, chunks and bytes a source gained in the active generation; negative for a loss."""

    source_id: str
    documents: int
    chunks: int
    size_bytes: int


async def apply(session: AsyncSession, collection_id: str, deltas: Iterable[Delta]) -> None:
    """Move the counters of a collection and its sources. The caller has locked the collection."""
    by_source: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    total = [0, 0, 0]
    for delta in deltas:
        for position, amount in enumerate((delta.documents, delta.chunks, delta.size_bytes)):
            by_source[delta.source_id][position] += amount
            total[position] += amount
    if not any(total) and not any(any(amounts) for amounts in by_source.values()):
        return
    await session.execute(update(Collection).where(Collection.id == collection_id).values(**_moved(Collection, total)))
    for source_id, amounts in sorted(by_source.items()):
        await session.execute(update(Source).where(Source.id == source_id).values(**_moved(Source, amounts)))


async def subtract(session: AsyncSession, collection_id: str, document_ids: Sequence[str]) -> None:
    """Take documents that go out of the counters, before their rows change. The caller has locked the collection."""
    counted = (
        select(Document.source_id, DocumentIndex.chunk_count, DocumentIndex.size_bytes)
        .join(DocumentIndex, DocumentIndex.document_id == Document.id)
        .join(Collection, (Collection.id == Document.collection_id) & (Collection.generation == DocumentIndex.generation))
        .join(Source, Source.id == Document.source_id)
        # A deleted document and those of a removed source were taken out when they went.
        .where(Document.id == any_(texts(document_ids)), Document.delete_time.is_(None), Source.delete_time.is_(None))
        .where(DocumentIndex.indexed_version > 0)
    )
    rows = (await session.execute(counted)).all()
    await apply(session, collection_id, [Delta(source, -1, -chunks, -size) for source, chunks, size in rows])


async def subtract_source(session: AsyncSession, source: Source) -> None:
    """Take a source that goes out of its collection's counters. The caller has locked the collection."""
    values = _moved(Collection, [-source.document_count, -source.chunk_count, -source.size_bytes])
    await session.execute(update(Collection).where(Collection.id == source.collection_id).values(**values))


def _moved(table: type[Collection] | type[Source], amounts: Sequence[int]) -> dict[str, object]:
    documents, chunks, size_bytes = amounts
    return {
        "document_count": table.document_count + documents,
        "chunk_count": table.chunk_count + chunks,
        "size_bytes": table.size_bytes + size_bytes,
    }
