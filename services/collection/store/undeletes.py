"""What brings a deleted document back: it waits under a new content version, so that the purge of the old one takes nothing of it."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import AnyRow
from services.collection.store import uploads
from services.collection.store.indexing import counts
from services.collection.store.indexing.counts import Delta
from services.collection.tables import Artifact, ArtifactKind, Collection, Document, DocumentIndex, DocumentState

_BACK = {"state": DocumentState.PRESENT, "delete_time": None, "purge_time": None, "content_version": Document.content_version + 1}


async def undelete_file(session: AsyncSession, document: AnyRow) -> None:
    """Bring a document of a directory back: it waits until its source shows what the file is now.

    The caller has locked the collection. Nothing is said of the content, so that the next sync takes it for changed.
    """
    unseen = {"content_sha256": "", "is_original": False, "duplicate_of": None, "source_modify_time": None}
    await _count(session, document)
    version = await _put(session, document.id, unseen)
    await uploads.put_index_rows(session, document.collection_id, document.id, version, is_duplicate=False)


async def undelete_upload(session: AsyncSession, document: AnyRow) -> bool:
    """Bring an upload back; False where its bytes are gone. The caller has locked the collection."""
    here = (Artifact.document_id == document.id, Artifact.kind == ArtifactKind.ORIGINAL)
    original = (await session.scalars(select(Artifact).where(*here))).one_or_none()
    if original is None:
        return False
    same_id = await uploads.original(session, document.collection_id, original.content_sha256)
    content = {"content_sha256": original.content_sha256, "is_original": same_id is None, "duplicate_of": same_id}
    await _count(session, document)
    version = await _put(session, document.id, content)
    await uploads.put_index_rows(session, document.collection_id, document.id, version, is_duplicate=same_id is not None)
    await session.execute(update(Artifact).where(*here).values(content_version=version))
    return True


async def _put(session: AsyncSession, document_id: str, values: dict[str, Any]) -> int:
    changed = update(Document).where(Document.id == document_id).values(**_BACK, **values).returning(Document.content_version)
    return int((await session.scalars(changed)).one())


async def _count(session: AsyncSession, document: AnyRow) -> None:
    """Count what is still indexed of a document, which left the counters when it went, until something else is."""
    indexed = (
        select(DocumentIndex.chunk_count, DocumentIndex.size_bytes)
        .join(Collection, (Collection.id == DocumentIndex.collection_id) & (Collection.generation == DocumentIndex.generation))
        .where(DocumentIndex.document_id == document.id, DocumentIndex.indexed_version > 0)
    )
    row = (await session.execute(indexed)).one_or_none()
    if row is not None:
        await counts.apply(session, document.collection_id, [Delta(document.source_id, 1, row.chunk_count, row.size_bytes)])
