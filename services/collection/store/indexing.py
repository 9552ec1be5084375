"""The worker's queries: the fence, the diff, what is left to do, and the commits."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.collection.store import documents
from services.collection.tables import (
    Artifact,
    ArtifactKind,
    Chunk,
    Collection,
    CollectionState,
    Document,
    DocumentIndex,
    DocumentState,
    Generation,
    Reason,
    Source,
)

_OPEN = (DocumentState.PENDING, DocumentState.PROCESSING)
_DEATHS = 2


class FencedError(Exception):
    """A newer claim has written its fence on the collection, or the collection is gone."""


async def raise_fence(session: AsyncSession, collection_id: str, fence: int) -> Collection:
    """Write the claim's fence on the collection; raises FencedError if a newer one is there."""
    collection = await session.get(Collection, collection_id, with_for_update=True)
    if collection is None or collection.write_fence > fence:
        raise FencedError
    collection.write_fence = fence
    if collection.state != CollectionState.DELETING:
        collection.state, collection.state_reason = CollectionState.PROCESSING, ""
    await session.flush()
    return collection


async def hold_fence(session: AsyncSession, collection_id: str, fence: int) -> None:
    """Make sure that until this transaction ends no newer claim begins; raises FencedError if one has."""
    statement = select(Collection.write_fence).where(Collection.id == collection_id).with_for_update(read=True)
    if await session.scalar(statement) != fence:
        raise FencedError


async def count_deaths(session: AsyncSession, collection_id: str) -> None:
    """Blame what was open when the last claim died without a commit; what was open twice is not tried again by itself."""
    here = (Document.collection_id == collection_id, Document.state == DocumentState.PROCESSING)
    await session.execute(update(Document).where(*here).values(state=DocumentState.PENDING, deaths=Document.deaths + 1))
    poison = {
        "state": DocumentState.FAILED,
        "reason": Reason.POISON,
        "error_message": "reading it stopped the worker twice",
        "is_retryable": True,
        "deaths": 0,
    }
    twice = (Document.collection_id == collection_id, Document.state.in_(_OPEN), Document.deaths >= _DEATHS)
    await session.execute(update(Document).where(*twice).values(**poison))


async def mark_processing(session: AsyncSession, document: Document) -> None:
    """Note that a document is in hand, in case the worker does not live to say how it ended."""
    here = (Document.id == document.id, Document.state == DocumentState.PENDING)
    await session.execute(update(Document).where(*here).values(state=DocumentState.PROCESSING))


async def unmark_processing(session: AsyncSession, collection_id: str) -> None:
    """Clear the notes: something was committed, or the worker stops in good order."""
    here = (Document.collection_id == collection_id, Document.state == DocumentState.PROCESSING)
    await session.execute(update(Document).where(*here).values(state=DocumentState.PENDING))


async def open_documents(session: AsyncSession, collection_id: str, after: str, limit: int, *, suspect: bool) -> list[Document]:
    """List documents that wait to be indexed, by id; ``suspect`` ones were open when a worker died."""
    statement = select(Document).where(Document.collection_id == collection_id, Document.state.in_(_OPEN), Document.id > after)
    statement = statement.where(Document.deaths > 0 if suspect else Document.deaths == 0)
    return list((await session.scalars(statement.order_by(Document.id).limit(limit))).all())


async def open_versions(session: AsyncSession, collection_id: str, after: str, limit: int) -> list[tuple[str, int]]:
    """List documents that wait to be indexed, by id, with the content version that is to be."""
    statement = select(Document.id, Document.content_version)
    statement = statement.where(Document.collection_id == collection_id, Document.state.in_(_OPEN), Document.id > after)
    return [(row.id, row.content_version) for row in (await session.execute(statement.order_by(Document.id).limit(limit))).all()]


async def original(session: AsyncSession, document: Document) -> Artifact | None:
    """Return the upload a document was made from."""
    return await documents.artifact(session, document, ArtifactKind.ORIGINAL)


@dataclass(frozen=True)
class Indexed:
    """A document that is in the index, with all that is stored of it."""

    document: Document
    text: str
    mime_type: str
    is_truncated: bool
    chunks: list[dict[str, Any]]
    token_count: int


async def commit_indexed(session: AsyncSession, generation: Generation, done: Indexed) -> bool:
    """Mark a document INDEXED with its text and chunks; False if it was deleted or changed meanwhile."""
    document, version = done.document, done.document.content_version
    values = {
        "state": DocumentState.INDEXED,
        "reason": None,
        "error_message": "",
        "mime_type": done.mime_type,
        "chunk_count": len(done.chunks),
        "token_count": done.token_count,
        "deaths": 0,
    }
    unchanged = (Document.id == document.id, Document.content_version == version, Document.state.in_(_OPEN))
    updated = await session.execute(update(Document).where(*unchanged).values(**values).returning(Document.id))
    if updated.scalar_one_or_none() is None:
        return False
    await forget_contents(session, document.collection_id, [document.id], keep_version=version)
    content = done.text.encode()
    artifact = {
        "document_id": document.id,
        "content_version": version,
        "kind": ArtifactKind.TEXT,
        "mime_type": "text/plain",
        "charset": "utf-8",
        "text": done.text,
        "content_sha256": document.content_sha256,
        "size_bytes": len(content),
        "is_truncated": done.is_truncated,
    }
    await session.execute(insert(Artifact).values(**artifact).on_conflict_do_nothing())
    if done.chunks:
        await session.execute(insert(Chunk).on_conflict_do_nothing(), done.chunks)
    index = {"content_version": version, "chunk_count": len(done.chunks), "index_time": func.clock_timestamp()}
    row = insert(DocumentIndex).values(document_id=document.id, generation=generation.generation, **index)
    await session.execute(row.on_conflict_do_update(index_elements=["document_id", "generation"], set_=index))
    return True


async def commit_refused(session: AsyncSession, document: Document, *, skip: bool, reason: str, message: str, retryable: bool) -> None:
    """Mark a document SKIPPED or FAILED; what an earlier content left behind goes."""
    values = {
        "state": DocumentState.SKIPPED if skip else DocumentState.FAILED,
        "reason": reason,
        "error_message": message,
        "is_retryable": retryable,
        "chunk_count": 0,
        "token_count": 0,
        "deaths": 0,
    }
    unchanged = (Document.id == document.id, Document.content_version == document.content_version, Document.state.in_(_OPEN))
    updated = await session.execute(update(Document).where(*unchanged).values(**values).returning(Document.id))
    if updated.scalar_one_or_none() is None:
        return
    await session.execute(delete(DocumentIndex).where(DocumentIndex.document_id == document.id))
    await forget_contents(session, document.collection_id, [document.id], keep_version=document.content_version)


async def forget_contents(
    session: AsyncSession, collection_id: str, document_ids: Sequence[str], *, keep_version: int | None = None
) -> None:
    """Delete chunks and extracted texts: all, or those of versions before ``keep_version``."""
    chunks = delete(Chunk).where(Chunk.collection_id == collection_id, Chunk.document_id.in_(document_ids))
    artifacts = delete(Artifact).where(Artifact.document_id.in_(document_ids))
    if keep_version is not None:
        chunks = chunks.where(Chunk.content_version < keep_version)
        artifacts = artifacts.where(Artifact.content_version < keep_version)
    await session.execute(chunks)
    await session.execute(artifacts)


async def deleted_documents(session: AsyncSession, collection_id: str, limit: int) -> list[str]:
    """List tombstones that may still have something in an index or in the store; ``forget_deleted`` takes them off."""
    here = (Document.collection_id == collection_id, Document.state == DocumentState.DELETED, Document.content_sha256 != "")
    return list((await session.scalars(select(Document.id).where(*here).order_by(Document.id).limit(limit))).all())


async def forget_deleted(session: AsyncSession, collection_id: str, document_ids: Sequence[str]) -> None:
    """Delete all that belongs to tombstones; only their names stay, so that no sync brings them back."""
    await forget_indexes(session, document_ids)
    await forget_contents(session, collection_id, document_ids)
    here = (Document.id.in_(document_ids), Document.state == DocumentState.DELETED)
    await session.execute(update(Document).where(*here).values(content_sha256="", chunk_count=0, token_count=0))


async def documents_of(session: AsyncSession, source_id: str, limit: int) -> list[str]:
    """List documents of a source that goes."""
    statement = select(Document.id).where(Document.source_id == source_id).order_by(Document.id).limit(limit)
    return list((await session.scalars(statement)).all())


async def left_behind(session: AsyncSession, collection_id: str, limit: int) -> list[str]:
    """List documents that are no longer indexed, skipped or failed since, whose earlier content still is."""
    ended = (DocumentState.SKIPPED, DocumentState.FAILED)
    here = (Document.collection_id == collection_id, Document.state.in_(ended), Document.id.in_(select(DocumentIndex.document_id)))
    return list((await session.scalars(select(Document.id).where(*here).order_by(Document.id).limit(limit))).all())


async def forget_indexes(session: AsyncSession, document_ids: Sequence[str]) -> None:
    await session.execute(delete(DocumentIndex).where(DocumentIndex.document_id.in_(document_ids)))


async def remove_documents(session: AsyncSession, collection_id: str, document_ids: Sequence[str]) -> None:
    """Delete the rows of documents that are out of every index; their duplicates take their place."""
    for document_id in document_ids:
        document = await session.get(Document, document_id)
        if document is not None:
            # Out of the way first, so that the heir may hold the same content.
            document.state = DocumentState.DELETED
            await session.flush()
            await documents.promote(session, document)
    await forget_contents(session, collection_id, document_ids)
    await session.execute(delete(Document).where(Document.id.in_(document_ids)))


async def remove_source(session: AsyncSession, source_id: str) -> None:
    await session.execute(delete(Source).where(Source.id == source_id))


async def remove_collection(session: AsyncSession, collection_id: str) -> None:
    """Delete a collection with every row that belongs to it; the audit log stays."""
    await session.execute(delete(Chunk).where(Chunk.collection_id == collection_id))
    await session.execute(delete(Collection).where(Collection.id == collection_id))


async def settle(session: AsyncSession, collection_id: str, source_id: str | None, *, error: str, synced: bool) -> None:
    """Bring counters and state up to date once an operation is over."""
    counts = select(
        func.count().filter(Document.state == DocumentState.INDEXED),
        func.count().filter(Document.state == DocumentState.FAILED),
        func.coalesce(func.sum(Document.chunk_count).filter(Document.state == DocumentState.INDEXED), 0),
        func.coalesce(func.sum(Document.size_bytes).filter(Document.state == DocumentState.INDEXED), 0),
    )
    indexed, failed, chunks, size = (await session.execute(counts.where(Document.collection_id == collection_id))).one()
    if error:
        state = CollectionState.ERROR
    elif failed:
        state = CollectionState.DEGRADED
    else:
        state = CollectionState.READY if indexed or synced else CollectionState.PENDING
    values = {"state": state, "state_reason": error, "document_count": indexed, "chunk_count": int(chunks), "size_bytes": int(size)}
    live = (Collection.id == collection_id, Collection.state != CollectionState.DELETING)
    await session.execute(update(Collection).where(*live).values(**values))
    if source_id is not None:
        of_source = (await session.execute(counts.where(Document.source_id == source_id))).one()
        source: dict[str, Any] = {"document_count": of_source[0], "size_bytes": int(of_source[3])}
        if synced:
            source["last_sync_time"] = func.clock_timestamp()
        await session.execute(update(Source).where(Source.id == source_id).values(**source))


async def progress(session: AsyncSession, collection_id: str, source_id: str | None, generation: int, since: datetime) -> dict[str, int]:
    """Count how far an operation that began at ``since`` is, from the rows."""
    fresh = DocumentIndex.index_time >= since
    is_open = Document.state.in_(_OPEN)
    statement = (
        select(
            func.count().label("documents_total"),
            func.count().filter(~is_open).label("documents_done"),
            func.count().filter(Document.state == DocumentState.INDEXED, fresh).label("documents_indexed"),
            func.count().filter(Document.state == DocumentState.SKIPPED).label("documents_skipped"),
            func.count().filter(Document.state == DocumentState.FAILED).label("documents_failed"),
            func.count().filter(Document.state == DocumentState.INDEXED, ~fresh).label("documents_unchanged"),
            func.coalesce(func.sum(Document.size_bytes), 0).label("bytes_total"),
            func.coalesce(func.sum(case((is_open, 0), else_=Document.size_bytes)), 0).label("bytes_done"),
            func.coalesce(func.sum(Document.chunk_count).filter(fresh), 0).label("chunks"),
            func.coalesce(func.sum(Document.token_count).filter(fresh), 0).label("tokens"),
        )
        .select_from(Document)
        .outerjoin(DocumentIndex, (DocumentIndex.document_id == Document.id) & (DocumentIndex.generation == generation))
        .where(Document.collection_id == collection_id, Document.state != DocumentState.DELETED)
    )
    if source_id is not None:
        statement = statement.where(Document.source_id == source_id)
    row = (await session.execute(statement)).mappings().one()
    return {name: int(value) for name, value in row.items()}
