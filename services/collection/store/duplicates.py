"""Equal bytes are indexed once: one document is the original, the others name it."""

from collections.abc import Sequence

from sqlalchemy import any_, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import texts
from services.collection.tables import Document, DocumentIndex, DocumentState, IndexState


async def promote(session: AsyncSession, former_ids: Sequence[str]) -> list[str]:
    """Make the oldest duplicate of each document that is no original any more an original; return the promoted ids.

    The rest of its duplicates name the promoted one from then on. The caller has locked the collection and taken
    ``is_original`` from the former originals; the promoted documents wait to be indexed.
    """
    if not former_ids:
        return []
    here = (Document.duplicate_of == any_(texts(former_ids)), Document.state == DocumentState.PRESENT)
    oldest = select(func.min(Document.id).label("id"), Document.duplicate_of.label("former")).where(*here).group_by(Document.duplicate_of)
    successors = (await session.execute(oldest)).tuples().all()
    if not successors:
        return []
    promoted = [successor for successor, _ in successors]
    values = {"is_original": True, "duplicate_of": None}
    await session.execute(update(Document).where(Document.id == any_(texts(promoted))).values(**values))
    for successor, former in successors:
        await session.execute(update(Document).where(Document.duplicate_of == former).values(duplicate_of=successor))
    await _reopen(session, promoted)
    return promoted


async def _reopen(session: AsyncSession, document_ids: Sequence[str]) -> None:
    values = {"state": IndexState.PENDING, "reason": None, "error_message": "", "is_retryable": False, "deaths": 0}
    await session.execute(update(DocumentIndex).where(DocumentIndex.document_id == any_(texts(document_ids))).values(**values))
