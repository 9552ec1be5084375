"""The languages of a collection's documents, and those in which its generations have the words."""

from collections import Counter

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import AnyRow
from services.collection.tables import Collection, Document, DocumentState, Generation

# So many documents tell what a collection is written in; the rest would take time with every operation.
_DOCUMENTS = 5000


async def chosen(session: AsyncSession, generation: Generation) -> AnyRow | None:
    """Return what is set for a collection, what a generation has, and the active one's chunks; None where either is gone."""
    columns = (Collection.language.label("setting"), Generation.language, Collection.chunk_count)
    here = (Generation.collection_id == generation.collection_id, Generation.generation == generation.generation)
    return (await session.execute(select(*columns).join(Generation, Generation.collection_id == Collection.id).where(*here))).one_or_none()


async def counts(session: AsyncSession, collection_id: str) -> Counter[str]:
    """Count the first 5,000 documents by language; an empty one is not known."""
    here = (Document.collection_id == collection_id, Document.state == DocumentState.PRESENT)
    first = select(Document.language).where(*here).order_by(Document.path, Document.id).limit(_DOCUMENTS).subquery()
    rows = await session.execute(select(first.c.language, func.count()).group_by(first.c.language))
    return Counter(dict(rows.tuples().all()))


async def put(session: AsyncSession, generation: Generation, language: str) -> None:
    """Note that a generation's index has its words in this language."""
    here = (Generation.collection_id == generation.collection_id, Generation.generation == generation.generation)
    await session.execute(update(Generation).where(*here).values(language=language))
