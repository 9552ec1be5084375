"""The worker's queries for comparing a source with what is stored of it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    DateTime,
    Integer,
    Text,
    any_,
    bindparam,
    case,
    delete,
    func,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import Rows, texts
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


_COLLECTION, _GENERATION = bindparam("of_collection", type_=Text), bindparam("of_generation", type_=Integer)
_KNOWN = (
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
    .outerjoin(DocumentIndex, (DocumentIndex.document_id == Document.id) & (DocumentIndex.generation == _GENERATION))
    .where(Document.collection_id == _COLLECTION, Document.uri == any_(bindparam("of_uris", type_=ARRAY(Text))))
)


async def known(session: AsyncSession, generation: Generation, uris: Sequence[str]) -> dict[str, Known]:
    """Return the documents of a collection at these places, of whichever source, tombstones included."""
    rows = await session.execute(_KNOWN, _of(generation) | {"of_uris": list(uris)})
    return {uri: Known(*stored) for uri, *stored in rows.all()}


async def stored(session: AsyncSession, source_id: str, after: str) -> list[tuple[str, str]]:
    """List the id and uri of a source's documents but tombstones, one page after the id ``after``."""
    here = (Document.source_id == source_id, Document.state != DocumentState.DELETED, Document.id > after)
    return list(await session.execute(select(Document.id, Document.uri).where(*here).order_by(Document.id).limit(_PAGE)))


async def originals(session: AsyncSession, collection_id: str, digests: Collection[str], changing: Collection[str]) -> dict[str, str]:
    """Return which document of the collection is indexed for each of these contents, but for those about to change."""
    here = (Document.collection_id == collection_id, Document.is_original, Document.content_sha256 == any_(texts(digests)))
    rows = await session.execute(select(Document.content_sha256, Document.id).where(*here))
    return {digest: document_id for digest, document_id in rows if document_id not in changing}


_GIVEN = Rows(
    id=Text,
    uri=Text,
    path=Text,
    name=Text,
    mime_type=Text,
    size_bytes=BigInteger,
    modify_time=DateTime(timezone=True),
    locator=JSONB,
    sha256=Text,
    duplicate_of=Text,
    is_original=Boolean,
    state=Text,
    reason=Text,
    message=Text,
    retryable=Boolean,
)
_PLACE = {
    "path": _GIVEN.c.path,
    "name": _GIVEN.c.name,
    "size_bytes": _GIVEN.c.size_bytes,
    "source_modify_time": _GIVEN.c.modify_time,
    "source_metadata": _GIVEN.c.locator,
}
_CONTENT = {
    "mime_type": _GIVEN.c.mime_type,
    "content_sha256": _GIVEN.c.sha256,
    "is_original": _GIVEN.c.is_original,
    "duplicate_of": _GIVEN.c.duplicate_of,
}
_NEW = {
    "id": _GIVEN.c.id,
    "collection_id": _COLLECTION,
    "source_id": bindparam("of_source", type_=Text),
    "uri": _GIVEN.c.uri,
    **_PLACE,
    **_CONTENT,
    "language": literal("", Text),
    "content_version": literal(1, BigInteger),
    "state": literal(DocumentState.PRESENT.value, Text),
    "metadata": literal({}, JSONB),
}
# "raw": the parameters are arrays, not the values of one row.
_INSERT = (
    insert(Document)
    .from_select(list(_NEW), select(*_NEW.values()), include_defaults=False)
    .on_conflict_do_nothing()
    .returning(Document.id)
    .execution_options(dml_strategy="raw")
)
# Now for what ends with the scan, NULL for what waits.
_END_TIME = case((_GIVEN.c.state == IndexState.PENDING.value, null()), else_=func.clock_timestamp())
_NEW_INDEX = {
    "document_id": _GIVEN.c.id,
    "generation": _GENERATION,
    "collection_id": _COLLECTION,
    "content_version": literal(1, BigInteger),
    "state": _GIVEN.c.state,
    "reason": _GIVEN.c.reason,
    "error_message": _GIVEN.c.message,
    "is_retryable": _GIVEN.c.retryable,
    **{name: literal(0, Integer) for name in ("deaths", "indexed_version", "chunk_count", "token_count", "size_bytes")},
    "index_time": _END_TIME,
}
_INSERT_INDEX = (
    insert(DocumentIndex)
    .from_select(list(_NEW_INDEX), select(*_NEW_INDEX.values()), include_defaults=False)
    .execution_options(dml_strategy="raw")
)


async def insert_documents(session: AsyncSession, generation: Generation, source_id: str, rows: Sequence[Row]) -> set[str]:
    """Insert new documents; return the ids of those that were inserted.

    A place or a content that somebody else took meanwhile is left out: compare again.
    """
    if not rows:
        return set()
    given = _given(rows)
    inserted = set((await session.scalars(_INSERT, _of(generation) | {"of_source": source_id} | given)).all())
    if len(inserted) < len(rows):
        given = _given([row for row in rows if row.id in inserted])
    await session.execute(_INSERT_INDEX, _of(generation) | given)
    return inserted


_CHANGE = (
    update(Document)
    .where(Document.id == _GIVEN.c.id)
    .values(**_PLACE, **_CONTENT, content_version=Document.content_version + 1, update_time=func.clock_timestamp())
    .execution_options(synchronize_session=False)
)
_CHANGE_INDEX = (
    update(DocumentIndex)
    .where(DocumentIndex.document_id == Document.id, Document.id == _GIVEN.c.id, DocumentIndex.generation == _GENERATION)
    .values(
        state=_GIVEN.c.state,
        reason=_GIVEN.c.reason,
        error_message=_GIVEN.c.message,
        is_retryable=_GIVEN.c.retryable,
        deaths=0,
        content_version=Document.content_version,
        index_time=func.coalesce(_END_TIME, DocumentIndex.index_time),
    )
    .execution_options(synchronize_session=False)
)
_TOUCH = update(Document).where(Document.id == _GIVEN.c.id).values(**_PLACE).execution_options(synchronize_session=False)


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
    await session.execute(_CHANGE, given)
    await session.execute(_CHANGE_INDEX, _of(generation) | given)
    await duplicates.promote(session, generation.collection_id, released)


async def touch_documents(session: AsyncSession, rows: Sequence[Row]) -> None:
    """Note when and where documents are found whose content stayed."""
    if rows:
        await session.execute(_TOUCH, _given(rows))


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


def _of(generation: Generation) -> dict[str, Any]:
    return {"of_collection": generation.collection_id, "of_generation": generation.generation}


def _given(rows: Sequence[Row]) -> dict[str, Any]:
    return _GIVEN.parameters(
        id=[row.id for row in rows],
        uri=[row.uri for row in rows],
        path=[row.path for row in rows],
        name=[row.name for row in rows],
        mime_type=[row.mime_type for row in rows],
        size_bytes=[row.size_bytes for row in rows],
        modify_time=[row.modify_time for row in rows],
        locator=[dict(row.locator) for row in rows],
        sha256=[row.sha256 for row in rows],
        duplicate_of=[row.duplicate_of for row in rows],
        is_original=[bool(row.sha256) and row.duplicate_of is None for row in rows],
        state=[row.state.value for row in rows],
        reason=[row.reason.value if row.reason else None for row in rows],
        message=[row.message for row in rows],
        retryable=[row.is_retryable for row in rows],
    )
