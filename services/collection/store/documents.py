"""Queries on documents, as people see them; the worker's own are in ``indexing``."""

from collections.abc import Sequence

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.collection.tables import Artifact, ArtifactKind, Document, DocumentState, Reason

_LIVE = (DocumentState.PENDING, DocumentState.PROCESSING, DocumentState.INDEXED)


async def get(session: AsyncSession, document_id: str) -> Document | None:
    return await session.get(Document, document_id)


async def locked(session: AsyncSession, document_id: str) -> Document:
    """Return a document that is known to exist, locked until the transaction ends."""
    return await session.get_one(Document, document_id, with_for_update=True, populate_existing=True)


async def by_uri(session: AsyncSession, collection_id: str, uri: str) -> Document | None:
    statement = select(Document).where(Document.collection_id == collection_id, Document.uri == uri)
    return (await session.scalars(statement.with_for_update())).one_or_none()


async def with_content(session: AsyncSession, collection_id: str, content_sha256: str, other_than: str) -> Document | None:
    """Return the live document of the collection that has these bytes already."""
    statement = select(Document).where(
        Document.collection_id == collection_id,
        Document.content_sha256 == content_sha256,
        Document.state.in_(_LIVE),
        Document.id != other_than,
    )
    return (await session.scalars(statement.limit(1))).one_or_none()


async def listed(
    session: AsyncSession,
    collection_id: str,
    *,
    source_id: str,
    states: Sequence[str],
    path_prefix: str,
    mime_type: str,
    limit: int,
    after: tuple[str, str] | None,
) -> list[Document]:
    """List a collection's documents by path, deleted ones only when asked for."""
    statement = select(Document).where(Document.collection_id == collection_id)
    statement = statement.where(Document.state.in_(states) if states else Document.state != DocumentState.DELETED)
    if source_id:
        statement = statement.where(Document.source_id == source_id)
    if path_prefix:
        statement = statement.where(Document.path.startswith(path_prefix, autoescape=True))
    if mime_type:
        statement = statement.where(Document.mime_type == mime_type)
    if after is not None:
        statement = statement.where(tuple_(Document.path, Document.id) > after)
    return list((await session.scalars(statement.order_by(Document.path, Document.id).limit(limit))).all())


async def artifact(session: AsyncSession, document: Document, kind: ArtifactKind) -> Artifact | None:
    """Return the newest artifact of this kind."""
    statement = select(Artifact).where(Artifact.document_id == document.id, Artifact.kind == kind)
    return (await session.scalars(statement.order_by(Artifact.content_version.desc()).limit(1))).one_or_none()


async def delete(session: AsyncSession, document: Document) -> None:
    """Leave a tombstone, and let the first duplicate of a document take its place."""
    document.state = DocumentState.DELETED
    document.reason = None
    document.delete_time = await session.scalar(select(func.clock_timestamp()))
    await session.flush()
    await promote(session, document)


async def promote(session: AsyncSession, gone: Document) -> None:
    """Make the oldest duplicate of a document that goes the one that is indexed; the others become its duplicates."""
    duplicates = select(Document).where(Document.duplicate_of == gone.id, Document.state == DocumentState.SKIPPED)
    heir = (await session.scalars(duplicates.order_by(Document.id).limit(1).with_for_update())).one_or_none()
    if heir is None:
        return
    heir.state, heir.reason, heir.duplicate_of = DocumentState.PENDING, None, None
    heir.error_message = ""
    await session.flush()
    others = (Document.duplicate_of == gone.id, Document.reason == Reason.DUPLICATE)
    await session.execute(update(Document).where(*others).values(duplicate_of=heir.id))
