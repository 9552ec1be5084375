"""The commit of a batch: what documents became, their texts and chunks, and every counter, in one fenced transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Integer, Text, any_, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import Rows
from services.collection.store.indexing import counts, duplicates, removal
from services.collection.store.indexing.counts import Delta
from services.collection.store.indexing.duplicates import Promoted
from services.collection.store.indexing.worklist import OPEN, Item
from services.collection.tables import (
    Artifact,
    ArtifactKind,
    Chunk,
    Collection,
    Document,
    DocumentIndex,
    DocumentState,
    Generation,
    IndexState,
    OperationCount,
    Source,
)

# Chunks in one statement: a long document has tens of thousands.
_CHUNKS = 5000


@dataclass(frozen=True)
class Running:
    """An operation, and when it was first claimed."""

    id: str
    since: datetime


@dataclass(frozen=True)
class Indexed:
    """A document whose points are in the index, with all that is stored of it; ``chunks`` are rows of the table."""

    item: Item
    text: str
    mime_type: str
    language: str
    is_truncated: bool
    chunks: list[dict[str, Any]]
    token_count: int


@dataclass(frozen=True)
class Refused:
    """A document that yields no chunks, and why."""

    item: Item
    state: IndexState
    reason: str
    message: str
    is_retryable: bool


@dataclass(frozen=True)
class _Before:
    source_id: str
    state: str
    indexed_version: int
    chunk_count: int
    size_bytes: int


@dataclass(frozen=True)
class Committed:
    """What a commit found.

    ``overtaken`` were deleted or changed meanwhile: their points must go. ``reopened`` are duplicates of what was refused that this
    operation has skipped, and counted: now they wait to be indexed.
    """

    overtaken: list[Item]
    reopened: list[Promoted]


async def commit(
    session: AsyncSession,
    generation: Generation,
    operation: Running,
    indexed: Sequence[Indexed],
    refused: Sequence[Refused],
) -> Committed:
    """Commit the ends of documents.

    The session holds the fence. Committing the same batch again changes nothing and counts nothing twice.
    """
    items = [done.item for done in indexed] + [end.item for end in refused]
    before = await _unchanged(session, generation, items)
    waiting = {document_id for document_id, was in before.items() if was.state in OPEN}
    fresh = [done for done in indexed if done.item.document_id in waiting]
    ends = [end for end in refused if end.item.document_id in waiting]
    if fresh:
        await _mark_indexed(session, generation, fresh)
        await removal.delete_contents(session, generation.collection_id, _later_versions(fresh))
        await _put_texts(session, fresh)
        await _put_chunks(session, fresh)
    reopened = []
    if ends:
        promoted = await _mark_refused(session, generation, ends)
        here = [each for each in promoted if each.generation == generation.generation]
        reopened = [each for each in here if each.skip_time is not None and each.skip_time >= operation.since]
        await removal.delete_contents(session, generation.collection_id, _later_versions(ends))
    await _count(session, generation, operation.id, before, fresh, ends, reopened)
    overtaken = [done.item for done in indexed if not _is_committed(done.item, before, waiting)]
    overtaken += [end.item for end in refused if end.item.document_id not in before]
    return Committed(overtaken, reopened)


def _is_committed(item: Item, before: Mapping[str, _Before], waiting: set[str]) -> bool:
    """Return whether this commit, or the same one before it, has committed the document."""
    was = before.get(item.document_id)
    return was is not None and (item.document_id in waiting or was.indexed_version == item.content_version)


def _later_versions(ends: Sequence[Indexed] | Sequence[Refused]) -> dict[str, int]:
    """Return the versions before which contents are out of date; a first version has none."""
    return {end.item.document_id: end.item.content_version for end in ends if end.item.content_version > 1}


_GENERATION = bindparam("of_generation", type_=Integer)
_UNCHANGED = (
    select(
        Document.id,
        Document.content_version,
        Document.source_id,
        DocumentIndex.state,
        DocumentIndex.indexed_version,
        DocumentIndex.chunk_count,
        DocumentIndex.size_bytes,
    )
    .join(DocumentIndex, (DocumentIndex.document_id == Document.id) & (DocumentIndex.generation == _GENERATION))
    .join(Source, Source.id == Document.source_id)
    .where(
        Document.id == any_(bindparam("of_ids", type_=ARRAY(Text))), Document.state == DocumentState.PRESENT, Source.delete_time.is_(None)
    )
)


async def _unchanged(session: AsyncSession, generation: Generation, items: Sequence[Item]) -> dict[str, _Before]:
    """Return what was indexed of those documents that are still there with the same content."""
    versions = {item.document_id: item.content_version for item in items}
    rows = (await session.execute(_UNCHANGED, {"of_generation": generation.generation, "of_ids": list(versions)})).all()
    return {row[0]: _Before(*row[2:]) for row in rows if row[1] == versions[row[0]]}


_DONE = Rows(id=Text, version=BigInteger, chunks=Integer, tokens=BigInteger, size=BigInteger, metadata=BigInteger)
_MARK_INDEXED = (
    update(DocumentIndex)
    .where(DocumentIndex.generation == _GENERATION, DocumentIndex.document_id == _DONE.c.id, Document.id == _DONE.c.id)
    .values(
        state=IndexState.INDEXED,
        reason=None,
        error_message="",
        is_retryable=False,
        deaths=0,
        content_version=_DONE.c.version,
        indexed_version=_DONE.c.version,
        chunk_count=_DONE.c.chunks,
        token_count=_DONE.c.tokens,
        size_bytes=_DONE.c.size,
        metadata_is_stale=Document.metadata_version != _DONE.c.metadata,
        index_time=func.clock_timestamp(),
    )
    .execution_options(synchronize_session=False)
)
_TOLD = Rows(id=Text, mime_type=Text, language=Text)
_SET_TOLD = (
    update(Document)
    .where(Document.id == _TOLD.c.id)
    .values(mime_type=_TOLD.c.mime_type, language=_TOLD.c.language)
    .execution_options(synchronize_session=False)
)


async def _mark_indexed(session: AsyncSession, generation: Generation, done: Sequence[Indexed]) -> None:
    rows = _DONE.parameters(
        id=[each.item.document_id for each in done],
        version=[each.item.content_version for each in done],
        chunks=[len(each.chunks) for each in done],
        tokens=[each.token_count for each in done],
        size=[each.item.size_bytes for each in done],
        metadata=[each.item.metadata_version for each in done],
    )
    await session.execute(_MARK_INDEXED, {"of_generation": generation.generation, **rows})
    # What reading has told of the content where something else was known.
    if told := [each for each in done if (each.mime_type, each.language) != (each.item.mime_type, each.item.language)]:
        given = {"mime_type": [each.mime_type for each in told], "language": [each.language for each in told]}
        await session.execute(_SET_TOLD, _TOLD.parameters(id=[each.item.document_id for each in told], **given))


_ENDS = Rows(id=Text, version=BigInteger, state=Text, reason=Text, message=Text, retryable=Boolean)
_MARK_REFUSED = (
    update(DocumentIndex)
    .where(DocumentIndex.generation == _GENERATION, DocumentIndex.document_id == _ENDS.c.id)
    .values(
        content_version=_ENDS.c.version,
        state=_ENDS.c.state,
        reason=_ENDS.c.reason,
        error_message=_ENDS.c.message,
        is_retryable=_ENDS.c.retryable,
        deaths=0,
        indexed_version=0,
        index_time=func.clock_timestamp(),
        chunk_count=0,
        token_count=0,
        size_bytes=0,
    )
    .execution_options(synchronize_session=False)
)
_GIVE_UP_CONTENT = (
    update(Document)
    .where(Document.id == _ENDS.c.id, Document.is_original)
    .values(is_original=False)
    .returning(Document.content_sha256)
    .execution_options(synchronize_session=False)
)


async def _mark_refused(session: AsyncSession, generation: Generation, ends: Sequence[Refused]) -> list[Promoted]:
    rows = _ENDS.parameters(
        id=[end.item.document_id for end in ends],
        version=[end.item.content_version for end in ends],
        state=[end.state.value for end in ends],
        reason=[end.reason for end in ends],
        message=[end.message for end in ends],
        retryable=[end.is_retryable for end in ends],
    )
    await session.execute(_MARK_REFUSED, {"of_generation": generation.generation, **rows})
    former = await session.scalars(_GIVE_UP_CONTENT, rows)
    return await duplicates.promote(session, generation.collection_id, list(former.all()))


_TEXTS = Rows(document_id=Text, content_version=BigInteger, text=Text, content_sha256=Text, size_bytes=BigInteger, is_truncated=Boolean)
_PUT_TEXTS = (
    insert(Artifact)
    .from_select(
        [*_TEXTS.names, "kind", "mime_type", "charset"],
        select(*(_TEXTS.c[name] for name in _TEXTS.names), literal(ArtifactKind.TEXT.value), literal("text/plain"), literal("utf-8")),
    )
    .on_conflict_do_nothing()
    .execution_options(dml_strategy="raw")
)


async def _put_texts(session: AsyncSession, done: Sequence[Indexed]) -> None:
    rows = _TEXTS.parameters(
        document_id=[each.item.document_id for each in done],
        content_version=[each.item.content_version for each in done],
        text=[each.text for each in done],
        content_sha256=[each.item.content_sha256 for each in done],
        size_bytes=[len(each.text.encode()) for each in done],
        is_truncated=[each.is_truncated for each in done],
    )
    await session.execute(_PUT_TEXTS, rows)


_CUT = Rows(
    collection_id=Text,
    document_id=Text,
    content_version=BigInteger,
    chunking_id=Text,
    ordinal=Integer,
    text=Text,
    start_offset=BigInteger,
    end_offset=BigInteger,
    token_count=Integer,
    text_sha256=Text,
    page=Integer,
    section=Text,
    level=Integer,
    parent_ordinal=Integer,
)
_PUT_CHUNKS = (
    insert(Chunk)
    .from_select(_CUT.names, select(*(_CUT.c[name] for name in _CUT.names)))
    .on_conflict_do_nothing()
    .execution_options(dml_strategy="raw")
)


async def _put_chunks(session: AsyncSession, done: Sequence[Indexed]) -> None:
    rows = [chunk for each in done for chunk in each.chunks]
    for start in range(0, len(rows), _CHUNKS):
        part = rows[start : start + _CHUNKS]
        await session.execute(_PUT_CHUNKS, _CUT.parameters(**{name: [row[name] for row in part] for name in _CUT.names}))


async def _count(
    session: AsyncSession,
    generation: Generation,
    operation_id: str,
    before: Mapping[str, _Before],
    fresh: Sequence[Indexed],
    ends: Sequence[Refused],
    reopened: Sequence[Promoted],
) -> None:
    deltas = []
    for done in fresh:
        old = before[done.item.document_id]
        deltas.append(
            Delta(old.source_id, int(not old.indexed_version), len(done.chunks) - old.chunk_count, done.item.size_bytes - old.size_bytes)
        )
    for end in ends:
        old = before[end.item.document_id]
        deltas.append(Delta(old.source_id, -int(old.indexed_version > 0), -old.chunk_count, -old.size_bytes))
    active = select(Collection.generation).where(Collection.id == generation.collection_id)
    if await session.scalar(active) == generation.generation:
        await counts.apply(session, generation.collection_id, deltas)
    await count_operation(
        session,
        operation_id,
        generation.collection_id,
        {
            "indexed": len(fresh),
            "skipped": sum(end.state == IndexState.SKIPPED for end in ends) - len(reopened),
            "failed": sum(end.state == IndexState.FAILED for end in ends),
            "size_bytes": sum(done.item.size_bytes for done in fresh)
            + sum(end.item.size_bytes for end in ends)
            - sum(each.size_bytes for each in reopened),
            "chunks": sum(len(done.chunks) for done in fresh),
            "tokens": sum(done.token_count for done in fresh),
        },
    )


async def count_operation(session: AsyncSession, operation_id: str, collection_id: str, amounts: Mapping[str, int]) -> None:
    """Add to what an operation has done, in the transaction that did it."""
    row = insert(OperationCount).values(operation_id=operation_id, collection_id=collection_id, **amounts)
    added = {name: getattr(OperationCount, name) + row.excluded[name] for name in amounts}
    await session.execute(row.on_conflict_do_update(index_elements=["operation_id"], set_=added))


async def operation_counts(session: AsyncSession, operation_id: str) -> dict[str, int]:
    """Return what an operation has done so far."""
    row = await session.get(OperationCount, operation_id)
    names = ("indexed", "skipped", "failed", "removed", "size_bytes", "chunks", "tokens")
    return {name: getattr(row, name) for name in names} if row else {}
