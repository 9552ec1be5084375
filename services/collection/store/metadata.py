"""What is noted on documents, the types of a collection's keys, and which indexes do not show it yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Text, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import Rows
from services.collection.metadata import Change, Stored, changed
from services.collection.tables import Collection, Document, DocumentIndex, DocumentState, Generation

_TYPES = "metadata_types"


@dataclass(frozen=True)
class Noted:
    """What is noted on a document; ``version`` rises with every change."""

    document_id: str
    metadata: Stored
    version: int


async def put(session: AsyncSession, collection_id: str, document_id: str, change: Change) -> bool:
    """Change what is noted on a document; return whether that makes a difference. The caller has locked the collection.

    Raises INVALID_REQUEST for what the collection's keys do not take.
    """
    here = Document.id == document_id
    before = dict(await session.scalar(select(Document.user_metadata).where(here)) or {})
    meta = dict(await session.scalar(select(Collection.meta).where(Collection.id == collection_id)) or {})
    after, types = changed(before, meta.get(_TYPES, {}), change)
    if types != meta.get(_TYPES, {}):
        await session.execute(update(Collection).where(Collection.id == collection_id).values(meta={**meta, _TYPES: types}))
    if after == before:
        return False
    await session.execute(update(Document).where(here).values(user_metadata=after, metadata_version=Document.metadata_version + 1))
    await session.execute(update(DocumentIndex).where(DocumentIndex.document_id == document_id).values(metadata_is_stale=True))
    return True


async def stale(session: AsyncSession, generation: Generation, limit: int) -> list[Noted]:
    """List documents whose points in an index show what was noted on them before."""
    here = (
        DocumentIndex.collection_id == generation.collection_id,
        DocumentIndex.generation == generation.generation,
        DocumentIndex.metadata_is_stale,
        DocumentIndex.indexed_version > 0,
        Document.state == DocumentState.PRESENT,
    )
    columns = (Document.id, Document.user_metadata, Document.metadata_version)
    statement = select(*columns).join(DocumentIndex, DocumentIndex.document_id == Document.id).where(*here)
    return [Noted(*row) for row in await session.execute(statement.order_by(DocumentIndex.document_id).limit(limit))]


_SHOWN = Rows(id=Text, version=BigInteger)


async def shown(session: AsyncSession, generation: Generation, documents: Sequence[Noted]) -> None:
    """Note that an index shows what is noted on documents; one that changed meanwhile is still to be shown."""
    given = _SHOWN.c
    statement = (
        update(DocumentIndex)
        .where(DocumentIndex.generation == generation.generation, DocumentIndex.document_id == given.id)
        .where(Document.id == given.id, Document.metadata_version == given.version)
        .values(metadata_is_stale=False)
        .execution_options(synchronize_session=False)
    )
    rows = _SHOWN.parameters(id=[each.document_id for each in documents], version=[each.version for each in documents])
    await session.execute(statement, rows)
