"""The documents of a generation that wait to be indexed, and what a worker notes of those in its hands."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, any_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import texts
from services.collection.tables import (
    Document,
    DocumentIndex,
    DocumentState,
    Generation,
    IndexState,
    OperationCount,
    Reason,
    Source,
    SourceKind,
)

OPEN = (IndexState.PENDING, IndexState.PROCESSING)
# Two deaths may be an accident; a document that is alone in a worker's hands when it dies for the third time is not.
_DEATHS = 3


class Totals(NamedTuple):
    """What an operation has to do, and what it has done: documents, and their bytes."""

    waiting: int
    waiting_bytes: int
    ended: int
    ended_bytes: int


@dataclass(frozen=True)
class Item:
    """A document that waits, with what reading it takes; ``content_version`` is the version to be indexed."""

    document_id: str
    content_version: int
    source_id: str
    source_kind: str
    locator: dict[str, Any]
    path: str
    name: str
    mime_type: str
    language: str
    size_bytes: int
    content_sha256: str
    modify_time: datetime | None
    indexed_version: int
    metadata: dict[str, Any] = field(default_factory=dict)
    metadata_version: int = 0


_COLUMNS = (
    DocumentIndex.document_id,
    DocumentIndex.content_version,
    Document.source_id,
    Source.kind,
    Document.source_metadata,
    Document.path,
    Document.name,
    Document.mime_type,
    Document.language,
    Document.size_bytes,
    Document.content_sha256,
    Document.source_modify_time,
    DocumentIndex.indexed_version,
    Document.user_metadata,
    Document.metadata_version,
)


async def page(session: AsyncSession, generation: Generation, after: str, limit: int, *, suspect: bool) -> list[Item]:
    """List documents that wait, by id, those after the id ``after``; ``suspect`` ones were in hand when a worker died."""
    statement = (
        select(*_COLUMNS)
        .join(Document, Document.id == DocumentIndex.document_id)
        .join(Source, Source.id == Document.source_id)
        .where(*_open(generation), DocumentIndex.document_id > after, *_live())
        .where(DocumentIndex.deaths > 0 if suspect else DocumentIndex.deaths == 0)
    )
    rows = await session.execute(statement.order_by(DocumentIndex.document_id).limit(limit))
    return [Item(*row) for row in rows]


async def totals(session: AsyncSession, generation: Generation, operation_id: str) -> Totals:
    """Return what waits and what the operation has ended, at one moment: commits between two looks would count twice."""
    ended = OperationCount.indexed + OperationCount.skipped + OperationCount.failed + OperationCount.removed
    here = OperationCount.operation_id == operation_id
    counted = (
        select(
            func.count(),
            func.coalesce(func.sum(Document.size_bytes), 0),
            func.coalesce(select(ended).where(here).scalar_subquery(), 0),
            func.coalesce(select(OperationCount.size_bytes).where(here).scalar_subquery(), 0),
        )
        .select_from(DocumentIndex)
        .join(Document, Document.id == DocumentIndex.document_id)
        .join(Source, Source.id == Document.source_id)
        .where(*_open(generation), *_live())
    )
    return Totals(*map(int, (await session.execute(counted)).one()))


async def note_processing(session: AsyncSession, generation: Generation, document_ids: Sequence[str]) -> None:
    """Note that documents are in hand, in case the worker does not live to say how they ended."""
    here = (*_open(generation), DocumentIndex.document_id == any_(texts(document_ids)))
    await session.execute(update(DocumentIndex).where(*here).values(state=IndexState.PROCESSING))


async def reset_processing(session: AsyncSession, generation: Generation) -> None:
    """Clear the notes: something was committed, or the worker stops in good order."""
    here = (*_open(generation), DocumentIndex.state == IndexState.PROCESSING)
    await session.execute(update(DocumentIndex).where(*here).values(state=IndexState.PENDING))


async def count_deaths(session: AsyncSession, generation: Generation) -> int:
    """Blame what was in hand when the last claim died without a commit; return how many documents are given up."""
    in_hand = (*_open(generation), DocumentIndex.state == IndexState.PROCESSING)
    counted = {"state": IndexState.PENDING, "deaths": DocumentIndex.deaths + 1}
    await session.execute(update(DocumentIndex).where(*in_hand).values(**counted))
    poison = {
        "state": IndexState.FAILED,
        "reason": Reason.POISON,
        "error_message": f"reading it stopped the worker {_DEATHS} times; retry it or sync its source to try again",
        "is_retryable": True,
        "deaths": 0,
        "index_time": func.clock_timestamp(),
    }
    given_up = await session.execute(
        update(DocumentIndex)
        .where(*_open(generation), DocumentIndex.deaths >= _DEATHS)
        .values(**poison)
        .returning(DocumentIndex.document_id)
    )
    return len(given_up.all())


def _open(generation: Generation) -> tuple[ColumnElement[bool], ...]:
    return (
        DocumentIndex.collection_id == generation.collection_id,
        DocumentIndex.generation == generation.generation,
        DocumentIndex.state.in_(OPEN),
    )


def _live() -> tuple[ColumnElement[bool], ...]:
    # A document of a directory that was undeleted waits for its source to show it first: what the source leaves out is not read.
    has_been_seen = or_(Source.kind == SourceKind.UPLOAD, Document.source_modify_time.is_not(None))
    return (Document.state == DocumentState.PRESENT, Source.delete_time.is_(None), has_been_seen)
