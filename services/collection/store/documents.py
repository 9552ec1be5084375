"""Queries on documents, as people see them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import aliased

from libs.db.tables import AnyRow
from services.collection.store.indexing import counts, duplicates
from services.collection.store.roles import ROLE, Subject
from services.collection.tables import Artifact, ArtifactKind, Collection, Document, DocumentIndex, DocumentState, IndexState, Source

# A document's state is that of its row in the collection's active generation; one without a row waits for its first.
_is_deleted = Document.state == DocumentState.DELETED
_state = case((_is_deleted, DocumentState.DELETED.value), else_=func.coalesce(DocumentIndex.state, IndexState.PENDING.value))
_present = case((_is_deleted, None), else_=1)
# Which document is indexed for the bytes of a duplicate changes without a change of the duplicate's row.
_other = aliased(Document)
_same = (_other.collection_id == Document.collection_id, _other.content_sha256 == Document.content_sha256, _other.is_original)
_original = select(_other.id).where(*_same).correlate(Document).scalar_subquery()
_COLUMNS = (
    Document.id,
    Document.collection_id,
    Document.source_id,
    Document.uri,
    Document.path,
    Document.name,
    Document.size_bytes,
    Document.mime_type,
    Document.language,
    Document.content_sha256,
    Document.user_metadata,
    case((Document.duplicate_of.is_not(None), func.coalesce(_original, Document.duplicate_of))).label("duplicate_of"),
    Document.content_version,
    _state.label("state"),
    case((_present == 1, DocumentIndex.reason)).label("reason"),
    case((_present == 1, func.coalesce(DocumentIndex.error_message, "")), else_="").label("error_message"),
    case((_present == 1, func.coalesce(DocumentIndex.is_retryable, False)), else_=False).label("is_retryable"),
    case((_present == 1, func.coalesce(DocumentIndex.chunk_count, 0)), else_=0).label("chunk_count"),
    case((_present == 1, func.coalesce(DocumentIndex.token_count, 0)), else_=0).label("token_count"),
    Document.source_modify_time,
    Document.create_time,
    func.greatest(Document.update_time, DocumentIndex.update_time).label("update_time"),
    Document.delete_time,
    Document.purge_time,
)


def _visible(*columns: Any) -> Select[*tuple[Any, ...]]:
    """Select from the documents that are there for people: those of a removed source are not, whatever their rows say."""
    return (
        select(*columns)
        .select_from(Document)
        .join(Collection, Collection.id == Document.collection_id)
        .join(Source, (Source.id == Document.source_id) & Source.delete_time.is_(None))
        .outerjoin(DocumentIndex, (DocumentIndex.document_id == Document.id) & (DocumentIndex.generation == Collection.generation))
    )


_BY_ID = _visible(*_COLUMNS, ROLE.label("role")).where(Document.id == bindparam("document_id"))
_LIST = _visible(*_COLUMNS)


async def with_role(session: AsyncSession | AsyncConnection, subject: Subject, document_id: str) -> AnyRow | None:
    """Return a document, deleted or not, with the subject's role on its collection."""
    return (await session.execute(_BY_ID, {**subject, "document_id": document_id})).one_or_none()


async def list_visible(
    session: AsyncSession,
    collection_id: str,
    *,
    source_id: str,
    states: Sequence[str],
    path_prefix: str,
    mime_type: str,
    limit: int,
    after: tuple[str, str] | None,
) -> Sequence[AnyRow]:
    """List a collection's documents by path, deleted ones only when asked for."""
    statement = _LIST.where(Document.collection_id == collection_id)
    statement = statement.where(or_(*map(_is_in, states)) if states else ~_is_deleted)
    if source_id:
        statement = statement.where(Document.source_id == source_id)
    if path_prefix:
        statement = statement.where(Document.path.startswith(path_prefix, autoescape=True))
    if mime_type:
        statement = statement.where(Document.mime_type == mime_type)
    if after is not None:
        statement = statement.where(tuple_(Document.path, Document.id) > after)
    return (await session.execute(statement.order_by(Document.path, Document.id).limit(limit))).all()


def _is_in(state: str) -> ColumnElement[bool]:
    if state == DocumentState.DELETED:
        return _is_deleted
    is_so = DocumentIndex.state == state
    return and_(~_is_deleted, or_(is_so, DocumentIndex.state.is_(None)) if state == IndexState.PENDING else is_so)


async def artifact(session: AsyncSession, document_id: str, kind: ArtifactKind) -> Artifact | None:
    """Return the newest artifact of this kind."""
    statement = select(Artifact).where(Artifact.document_id == document_id, Artifact.kind == kind)
    return (await session.scalars(statement.order_by(Artifact.content_version.desc()).limit(1))).one_or_none()


async def delete(session: AsyncSession, collection_id: str, document_id: str) -> None:
    """Leave a tombstone; the oldest duplicate of the document takes its place. The caller has locked the collection."""
    await counts.subtract(session, collection_id, [document_id])
    values = {"state": DocumentState.DELETED, "is_original": False, "delete_time": func.clock_timestamp()}
    deleted = update(Document).where(Document.id == document_id).values(**values).returning(Document.content_sha256)
    await duplicates.promote(session, collection_id, (await session.scalars(deleted)).all())


async def hanging_purges(session: AsyncSession, older_than_seconds: float, limit: int) -> Sequence[AnyRow]:
    """List collections (id, owner) with documents that were deleted a while ago and still take space."""
    old = Document.delete_time < func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, older_than_seconds)
    unpurged = select(Document.id).where(Document.collection_id == Collection.id, _is_deleted, Document.purge_time.is_(None), old)
    return (await session.execute(select(Collection.id, Collection.owner_id).where(unpurged.exists()).limit(limit))).all()
