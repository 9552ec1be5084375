"""Queries that let failed documents wait again."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import any_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from libs.db.arrays import texts
from services.collection.tables import Document, DocumentIndex, DocumentState, IndexState, Reason, Source


@dataclass(frozen=True)
class Choice:
    """Which failed documents of a generation to retry; no ids mean all of them."""

    collection_id: str
    generation: int
    document_ids: Sequence[str]
    include_permanent: bool


async def failed(session: AsyncSession, choice: Choice, after: str, limit: int) -> Sequence[str]:
    """List failed documents by id, one page after the id ``after``."""
    statement = (
        select(DocumentIndex.document_id)
        .join(Document, Document.id == DocumentIndex.document_id)
        .join(Source, Source.id == Document.source_id)
        .where(
            DocumentIndex.collection_id == choice.collection_id,
            DocumentIndex.generation == choice.generation,
            DocumentIndex.state == IndexState.FAILED,
            DocumentIndex.document_id > after,
            Document.state == DocumentState.PRESENT,
            Source.delete_time.is_(None),
        )
    )
    if choice.document_ids:
        statement = statement.where(DocumentIndex.document_id == any_(texts(choice.document_ids)))
    if not choice.include_permanent:
        statement = statement.where(DocumentIndex.is_retryable)
    return (await session.scalars(statement.order_by(DocumentIndex.document_id).limit(limit))).all()


async def reopen(session: AsyncSession, generation: int, document_ids: Sequence[str]) -> int:
    """Let failed documents wait again; return how many do. The caller has locked the collection.

    A document that failed gave up its place as the original of its bytes. It takes it back unless another document has it by
    now: then it is that one's duplicate.
    """
    await _claim_places(session, document_ids)
    here = (DocumentIndex.generation == generation, DocumentIndex.document_id == any_(texts(document_ids)))
    clear = {"error_message": "", "is_retryable": False, "deaths": 0, "update_time": func.clock_timestamp()}
    skipped = {"state": IndexState.SKIPPED, "reason": Reason.DUPLICATE, **clear}
    of_duplicates = (DocumentIndex.document_id == Document.id, Document.duplicate_of.is_not(None))
    await session.execute(update(DocumentIndex).where(*here, *of_duplicates).values(**skipped))
    failed = (*here, DocumentIndex.state == IndexState.FAILED)
    pending = {"state": IndexState.PENDING, "reason": None, **clear}
    reopened = await session.scalars(update(DocumentIndex).where(*failed).values(**pending).returning(DocumentIndex.document_id))
    return len(reopened.all())


async def _claim_places(session: AsyncSession, document_ids: Sequence[str]) -> None:
    """Make one of each group of equal contents the original, and the others its duplicates."""
    other = aliased(Document)
    same = (other.collection_id == Document.collection_id, other.content_sha256 == Document.content_sha256, other.is_original)
    homeless = (Document.id == any_(texts(document_ids)), ~Document.is_original, Document.content_sha256 != "")
    first = select(func.min(Document.id)).where(*homeless, ~select(other.id).where(*same).exists()).group_by(Document.content_sha256)
    ids = (await session.scalars(first)).all()
    await session.execute(update(Document).where(Document.id == any_(texts(ids))).values(is_original=True, duplicate_of=None))
    rest = update(Document).where(*homeless, *same).values(duplicate_of=other.id)
    await session.execute(rest.execution_options(synchronize_session=False))
