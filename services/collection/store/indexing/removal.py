"""What goes out of the tables: contents, documents, sources, collections; in pages, so that no statement is long."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, any_, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import Rows, texts
from services.collection.store.indexing import counts, duplicates
from services.collection.tables import (
    Artifact,
    Chunk,
    Collection,
    Document,
    DocumentIndex,
    DocumentState,
    Generation,
    IndexState,
    ObjectDeletion,
    Source,
)

Version = tuple[str, int]  # a document's id and content version
_VERSIONS = Rows(id=Text, version=BigInteger)
_KEYS = (Chunk.collection_id, Chunk.document_id, Chunk.content_version, Chunk.chunking_id, Chunk.ordinal)


async def delete_contents(session: AsyncSession, collection_id: str, before: Mapping[str, int]) -> None:
    """Delete the chunks and artifacts of documents whose version is below the given one; their objects are deleted later.

    For one commit's documents: a page of removals deletes its chunks with ``delete_chunks`` first.
    """
    if not before:
        return
    given, versions = _VERSIONS.c, _VERSIONS.parameters(id=before, version=before.values())
    old = (Chunk.collection_id == collection_id, Chunk.document_id == given.id, Chunk.content_version < given.version)
    await session.execute(delete(Chunk).where(*old), versions)
    await _delete_artifacts(session, Artifact.document_id == given.id, Artifact.content_version < given.version, parameters=versions)


async def _delete_artifacts(session: AsyncSession, *here: ColumnElement[bool], parameters: Mapping[str, Any] | None = None) -> None:
    keys = (await session.scalars(delete(Artifact).where(*here).returning(Artifact.object_key), parameters)).all()
    rows = [{"key": key, "delete_time": func.clock_timestamp()} for key in keys if key is not None]
    if rows:
        await session.execute(insert(ObjectDeletion).values(rows).on_conflict_do_nothing())


async def delete_chunks(session: AsyncSession, collection_id: str, document_ids: Sequence[str], limit: int = 5000) -> int:
    """Delete at most ``limit`` chunks of documents that are deleted or go; return how many."""
    page = select(*_KEYS).where(Chunk.collection_id == collection_id, Chunk.document_id == any_(texts(document_ids))).limit(limit)
    deleted = await session.execute(delete(Chunk).where(Chunk.collection_id == collection_id, tuple_(*_KEYS).in_(page)))
    return int(deleted.rowcount)  # type: ignore[attr-defined]


async def tombstones(session: AsyncSession, collection_id: str, limit: int) -> list[Version]:
    """List deleted documents that may still have something in an index or in the store, with their version."""
    here = (Document.collection_id == collection_id, Document.state == DocumentState.DELETED, Document.purge_time.is_(None))
    rows = select(Document.id, Document.content_version).where(*here).order_by(Document.id).limit(limit)
    return list((await session.execute(rows)).all())


async def purge(session: AsyncSession, collection_id: str, versions: Sequence[Version]) -> int:
    """Delete all that belongs to tombstones but their names, which keep a sync from bringing them back.

    A document that was uploaded again meanwhile keeps what is newer than the tombstone. Returns how many were purged.
    """
    through = {document_id: version + 1 for document_id, version in versions}
    await delete_contents(session, collection_id, through)
    given = _VERSIONS.c
    still = (Document.id == given.id, Document.state == DocumentState.DELETED, Document.content_version < given.version)
    values = {"purge_time": func.clock_timestamp(), "content_sha256": "", "is_original": False, "duplicate_of": None, "user_metadata": {}}
    statement = update(Document).where(*still).values(**values).returning(Document.id)
    purged = (await session.scalars(statement, _VERSIONS.parameters(id=through, version=through.values()))).all()
    await session.execute(delete(DocumentIndex).where(DocumentIndex.document_id == any_(texts(purged))))
    return len(purged)


async def documents_of_source(session: AsyncSession, source_id: str, limit: int) -> list[str]:
    """List documents of a source that goes."""
    return list(
        (await session.scalars(select(Document.id).where(Document.source_id == source_id).order_by(Document.id).limit(limit))).all()
    )


async def documents_of_collection(session: AsyncSession, collection_id: str, limit: int) -> list[str]:
    """List documents of a collection that goes."""
    here = Document.collection_id == collection_id
    return list((await session.scalars(select(Document.id).where(here).order_by(Document.path, Document.id).limit(limit))).all())


async def delete_documents(session: AsyncSession, collection_id: str, document_ids: Sequence[str]) -> None:
    """Delete documents that are out of every index, with their rows; duplicates take the place of originals."""
    await counts.subtract(session, collection_id, document_ids)
    here = Document.id == any_(texts(document_ids))
    released = update(Document).where(here, Document.is_original).values(is_original=False).returning(Document.content_sha256)
    digests = list((await session.scalars(released)).all())
    await session.execute(update(Document).where(here).values(state=DocumentState.DELETED, duplicate_of=None))
    await duplicates.promote(session, collection_id, digests)
    await _delete_artifacts(session, Artifact.document_id == any_(texts(document_ids)))
    await session.execute(delete(Document).where(here))


async def drop_documents(session: AsyncSession, document_ids: Sequence[str]) -> None:
    """Delete documents of a collection that goes as a whole: nothing takes their place, nothing is counted."""
    await session.execute(delete(Document).where(Document.id == any_(texts(document_ids))))


async def delete_source(session: AsyncSession, source_id: str) -> None:
    """Delete a source without documents."""
    await session.execute(delete(Source).where(Source.id == source_id))


async def delete_collection(session: AsyncSession, collection_id: str) -> None:
    """Delete a collection without documents and chunks; the audit log stays."""
    await session.execute(delete(Collection).where(Collection.id == collection_id))


async def stale(session: AsyncSession, generation: Generation, limit: int) -> list[str]:
    """List documents that ended SKIPPED or FAILED and whose earlier content is still in the index."""
    ended = DocumentIndex.state.in_((IndexState.SKIPPED, IndexState.FAILED))
    here = (DocumentIndex.collection_id == generation.collection_id, DocumentIndex.generation == generation.generation)
    statement = select(DocumentIndex.document_id).where(*here, ended, DocumentIndex.indexed_version > 0)
    return list((await session.scalars(statement.order_by(DocumentIndex.document_id).limit(limit))).all())


async def delete_stale(session: AsyncSession, generation: Generation, document_ids: Sequence[str]) -> None:
    """Note that documents are out of the index; a document that is to be indexed again by now is left alone."""
    await counts.subtract(session, generation.collection_id, document_ids)
    here = (DocumentIndex.generation == generation.generation, DocumentIndex.document_id == any_(texts(document_ids)))
    cleared = {"indexed_version": literal(0), "chunk_count": 0, "token_count": 0, "size_bytes": 0}
    await session.execute(update(DocumentIndex).where(*here).values(**cleared))
