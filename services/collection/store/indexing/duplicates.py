"""Equal bytes are indexed once: one document is the original, the others are its duplicates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import any_, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from libs.db.arrays import texts
from services.collection.tables import Document, DocumentIndex, DocumentState, IndexState, Source


@dataclass(frozen=True)
class Promoted:
    """A duplicate that waits to be indexed now, in one generation; ``skip_time`` is when it was skipped."""

    generation: int
    size_bytes: int
    skip_time: datetime | None


async def promote(session: AsyncSession, collection_id: str, digests: Sequence[str]) -> list[Promoted]:
    """Make the oldest duplicate of each content that has no original any more the one that is indexed; returns those.

    The caller has locked the collection and taken ``is_original`` from the former originals. ``duplicate_of`` of the other
    duplicates stays as it was: which original a duplicate has is asked by content.
    """
    if not digests:
        return []
    original = aliased(Document)
    held = exists().where(original.collection_id == collection_id, original.content_sha256 == Document.content_sha256, original.is_original)
    here = (
        ~held,
        Document.collection_id == collection_id,
        Document.content_sha256 == any_(texts(digests)),
        Document.duplicate_of.is_not(None),
        Document.state == DocumentState.PRESENT,
        Document.source_id.in_(select(Source.id).where(Source.collection_id == collection_id, Source.delete_time.is_(None))),
    )
    oldest = select(func.min(Document.id)).where(*here).group_by(Document.content_sha256)
    promoted = list((await session.scalars(oldest)).all())
    if not promoted:
        return []
    await session.execute(update(Document).where(Document.id == any_(texts(promoted))).values(is_original=True, duplicate_of=None))
    values = {"state": IndexState.PENDING, "reason": None, "error_message": "", "is_retryable": False, "deaths": 0}
    index = DocumentIndex.document_id == any_(texts(promoted))
    skipped = (
        select(DocumentIndex.generation, Document.size_bytes, DocumentIndex.index_time)
        .join(DocumentIndex, DocumentIndex.document_id == Document.id)
        .where(index)
    )
    rows = (await session.execute(skipped)).all()
    await session.execute(update(DocumentIndex).where(index).values(**values))
    return [Promoted(*row) for row in rows]
