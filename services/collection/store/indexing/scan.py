"""The worker's queries for comparing a source with what is stored of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Integer, Text, any_, case, delete, func, literal, null, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import texts, unnested
from services.collection.store import retries
from services.collection.store.indexing import duplicates
from services.collection.tables import Document, DocumentIndex, DocumentState, Generation, IndexState, Reason

_PAGE = 2000


@dataclass(frozen=True)
class Known:
    """What is stored of a document, for the diff; ``index_state`` is its state in the active generation."""

    id: str
    source_id: str
    state: str
    index_state: str | None
    reason: str | None
    size_bytes: int
    modify_time: datetime | None
    content_sha256: str
    index_time: datetime | None


@dataclass(frozen=True)
class Row:
    """A document as it is to be stored; ``sha256`` is empty where ``reason`` says why it must not be read."""

    id: str
    uri: str
    path: str
    name: str
    mime_type: str
    size_bytes: int
    modify_time: datetime
    locator: Mapping[str, Any]
    sha256: str
    duplicate_of: str | None = None
    state: IndexState = IndexState.PENDING
    reason: Reason | None = None
    message: str = ""
    is_retryable: bool = False


async def known(session: AsyncSession, generation: Generation, uris: Sequence[str]) -> dict[str, Known]:
    """Return the documents of a collection at these places, of whichever source, tombstones included."""
    statement = (
        select(
            Document.uri,
            Document.id,
            Document.source_id,
            Document.state,
            DocumentIndex.state,
            DocumentIndex.reason,
            Document.size_bytes,
            Document.source_modify_time,
            Document.content_sha256,
            DocumentIndex.index_time,
        )
        .outerjoin(DocumentIndex, (DocumentIndex.document_id == Document.id) & (DocumentIndex.generation == generation.generation))
        .where(Document.collection_id == generation.collection_id, Document.uri == any_(texts(uris)))
    )
    return {uri: Known(*stored) for uri, *stored in (await session.execute(statement)).all()}


async def stored(session: AsyncSession, source_id: str, after: str) -> list[tuple[str, str]]:
    """List the id and uri of a source's documents but tombstones, one page after the id ``after``."""
    here = (Document.source_id == source_id, Document.state != DocumentState.DELETED, Document.id > after)
    return list(await session.execute(select(Document.id, Document.uri).where(*here).order_by(Document.id).limit(_PAGE)))


async def originals(session: AsyncSession, collection_id: str, digests: Collection[str], changing: Collection[str]) -> dict[str, str]:
    """Return which document of the collection is indexed for each of these contents, but for those about to change."""
    here = (Document.collection_id == collection_id, Document.is_original, Document.content_sha256 == any_(texts(digests)))
    rows = await session.execute(select(Document.content_sha256, Document.id).where(*here))
    return {digest: document_id for digest, document_id in rows if document_id not in changing}


async def insert_documents(session: AsyncSession, generation: Generation, source_id: str, rows: Sequence[Row]) -> set[str]:
    """Insert new documents; return the ids of those that were inserted.

    A place or a content that somebody else took meanwhile is left out: compare again.
    """
    if not rows:
        return set()
    given = _given(rows)
    values = {
        "id": given.c.id,
        "collection_id": literal(generation.collection_id, Text),
        "source_id": literal(source_id, Text),
        "uri": given.c.uri,
        **_place(given),
        **_content(given),
        "language": literal("", Text),
        "content_version": literal(1, BigInteger),
        "state": literal(DocumentState.PRESENT.value, Text),
        "metadata": literal({}, JSONB),
    }
    statement = insert(Document).from_select(list(values), select(*values.values()), include_defaults=False)
    inserted = set((await session.scalars(statement.on_conflict_do_nothing().returning(Document.id))).all())
    await _put_index_rows(session, generation, [row for row in rows if row.id in inserted])
    return inserted


async def _put_index_rows(session: AsyncSession, generation: Generation, rows: Sequence[Row]) -> None:
    given = _given(rows)
    names = ("document_id", "generation", "collection_id", "content_version", "state", "reason", "error_message", "is_retryable")
    zeros = ("deaths", "indexed_version", "chunk_count", "token_count", "size_bytes")
    source = select(
        given.c.id,
        literal(generation.generation, Integer),
        literal(generation.collection_id, Text),
        literal(1, BigInteger),
        given.c.state,
        given.c.reason,
        given.c.message,
        given.c.retryable,
        *(literal(0, Integer) for _ in zeros),
        _end_time(given),
    )
    await session.execute(insert(DocumentIndex).from_select([*names, *zeros, "index_time"], source, include_defaults=False))


def _end_time(given: Any) -> Any:
    """Return now for what ends with the scan, NULL for what waits."""
    return case((given.c.state == IndexState.PENDING.value, null()), else_=func.clock_timestamp())


async def change_documents(session: AsyncSession, generation: Generation, rows: Sequence[Row]) -> None:
    """Give known documents another content or a refusal; the content version rises by one, here and in a move only."""
    if not rows:
        return
    ids = texts([row.id for row in rows])
    # First all give up what they held, so that contents may change places.
    former = (
        update(Document).where(Document.id == any_(ids), Document.is_original).values(is_original=False).returning(Document.content_sha256)
    )
    released = list((await session.scalars(former)).all())
    given = _given(rows)
    values = {**_place(given), **_content(given), "content_version": Document.content_version + 1, "update_time": func.clock_timestamp()}
    await session.execute(update(Document).where(Document.id == given.c.id).values(**values))
    index = {
        "state": given.c.state,
        "reason": given.c.reason,
        "error_message": given.c.message,
        "is_retryable": given.c.retryable,
        "deaths": 0,
        "content_version": Document.content_version,
        "index_time": func.coalesce(_end_time(given), DocumentIndex.index_time),
    }
    here = (DocumentIndex.document_id == Document.id, Document.id == given.c.id, DocumentIndex.generation == generation.generation)
    await session.execute(update(DocumentIndex).where(*here).values(**index))
    await duplicates.promote(session, generation.collection_id, released)


async def touch_documents(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Note when and where documents are found whose content stayed."""
    if rows:
        given = _given(rows)
        await session.execute(update(Document).where(Document.id == given.c.id).values(**_place(given)))


async def reopen_failed(session: AsyncSession, generation: Generation, document_ids: Sequence[str]) -> None:
    """Let those documents that failed and may be retried wait again."""
    if not document_ids:
        return
    here = (DocumentIndex.generation == generation.generation, DocumentIndex.document_id == any_(texts(document_ids)))
    retryable = select(DocumentIndex.document_id).where(*here, DocumentIndex.state == IndexState.FAILED, DocumentIndex.is_retryable)
    if ids := (await session.scalars(retryable)).all():
        await retries.reopen(session, generation.generation, ids)


async def move(session: AsyncSession, generation: Generation, document_id: str, duplicate_id: str) -> bool:
    """Give a document that is gone the place where its content has turned up; False if there is nothing to move any more.

    It keeps its id and what people noted on it; it is indexed again, because its chunks name their path.
    """
    rows = await session.scalars(select(Document).where(or_(Document.id == document_id, Document.id == duplicate_id)))
    documents = {document.id: document for document in rows}
    document, duplicate = documents.get(document_id), documents.get(duplicate_id)
    if document is None or duplicate is None or not document.is_original or duplicate.duplicate_of is None:
        return False
    if duplicate.content_sha256 != document.content_sha256:
        return False
    names = ("uri", "path", "name", "size_bytes", "source_modify_time", "source_metadata")
    place = {name: getattr(duplicate, name) for name in names}
    await session.execute(delete(Document).where(Document.id == duplicate_id))
    for name, value in place.items():
        setattr(document, name, value)
    document.content_version += 1
    await session.flush()
    index = {"state": IndexState.PENDING, "content_version": document.content_version, "reason": None, "deaths": 0}
    here = (DocumentIndex.generation == generation.generation, DocumentIndex.document_id == document_id)
    await session.execute(update(DocumentIndex).where(*here).values(**index))
    return True


def _given(rows: Sequence[Row]) -> Any:
    columns: dict[str, tuple[Any, list[Any]]] = {
        "id": (Text, [row.id for row in rows]),
        "uri": (Text, [row.uri for row in rows]),
        "path": (Text, [row.path for row in rows]),
        "name": (Text, [row.name for row in rows]),
        "mime_type": (Text, [row.mime_type for row in rows]),
        "size_bytes": (BigInteger, [row.size_bytes for row in rows]),
        "modify_time": (DateTime(timezone=True), [row.modify_time for row in rows]),
        "locator": (JSONB, [dict(row.locator) for row in rows]),
        "sha256": (Text, [row.sha256 for row in rows]),
        "duplicate_of": (Text, [row.duplicate_of for row in rows]),
        "is_original": (Boolean, [bool(row.sha256) and row.duplicate_of is None for row in rows]),
        "state": (Text, [row.state.value for row in rows]),
        "reason": (Text, [row.reason.value if row.reason else None for row in rows]),
        "message": (Text, [row.message for row in rows]),
        "retryable": (Boolean, [row.is_retryable for row in rows]),
    }
    return unnested(columns)


def _place(given: Any) -> dict[str, Any]:
    return {
        "path": given.c.path,
        "name": given.c.name,
        "size_bytes": given.c.size_bytes,
        "source_modify_time": given.c.modify_time,
        "source_metadata": given.c.locator,
    }


def _content(given: Any) -> dict[str, Any]:
    return {
        "mime_type": given.c.mime_type,
        "content_sha256": given.c.sha256,
        "is_original": given.c.is_original,
        "duplicate_of": given.c.duplicate_of,
    }
