"""The worker's queries for comparing a source with what is stored of it."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.collection.tables import Document, DocumentState, Reason

_LIVE = (DocumentState.PENDING, DocumentState.PROCESSING, DocumentState.INDEXED)
_PAGE = 2000


@dataclass(frozen=True)
class Known:
    """What is stored of a document, for the diff."""

    id: str
    source_id: str
    state: str
    reason: str | None
    size_bytes: int
    modify_time: datetime | None
    content_sha256: str


async def known(session: AsyncSession, collection_id: str, uris: Sequence[str]) -> dict[str, Known]:
    """Return the documents of a collection at these places, of whichever source, tombstones included."""
    columns = (
        Document.uri,
        Document.id,
        Document.source_id,
        Document.state,
        Document.reason,
        Document.size_bytes,
        Document.source_modify_time,
        Document.content_sha256,
    )
    rows = await session.execute(select(*columns).where(Document.collection_id == collection_id, Document.uri.in_(uris)))
    return {row[0]: Known(*row[1:]) for row in rows}


async def stored(session: AsyncSession, source_id: str) -> AsyncIterator[list[tuple[str, str]]]:
    """Yield the id and uri of every document of a source but tombstones, in pages."""
    after = ""
    while True:
        here = (Document.source_id == source_id, Document.state != DocumentState.DELETED, Document.id > after)
        page = (await session.execute(select(Document.id, Document.uri).where(*here).order_by(Document.id).limit(_PAGE))).tuples().all()
        if not page:
            return
        after = page[-1][0]
        yield list(page)


async def live_contents(session: AsyncSession, collection_id: str, digests: Collection[str], changing: Collection[str]) -> dict[str, str]:
    """Return which live document of the collection has each of these contents, but for those about to change."""
    here = (Document.collection_id == collection_id, Document.content_sha256.in_(digests), Document.state.in_(_LIVE))
    statement = select(Document.content_sha256, Document.id).where(*here, Document.id.not_in(changing))
    return dict((await session.execute(statement)).tuples().all())


async def put_documents(session: AsyncSession, rows: Sequence[dict[str, Any]], changing: Collection[str]) -> None:
    """Insert or change documents of the diff; the content version rises by one for each, here and in a move only."""
    # First all give up what they held, so that contents may change places.
    await session.execute(update(Document).where(Document.id.in_(changing)).values(content_sha256=""))
    for row in rows:
        changed = {name: value for name, value in row.items() if name not in ("id", "collection_id", "source_id", "uri")}
        changed |= {"content_version": Document.content_version + 1, "update_time": func.clock_timestamp(), "deaths": 0}
        statement = insert(Document).values(**row, content_version=1)
        await session.execute(statement.on_conflict_do_update(index_elements=["collection_id", "uri"], set_=changed))


async def touch(session: AsyncSession, document_id: str, values: dict[str, Any]) -> None:
    """Note where and when a document whose content stayed is now found."""
    await session.execute(update(Document).where(Document.id == document_id).values(**values))


async def move(session: AsyncSession, document_id: str, twin_id: str) -> bool:
    """Give a document that is gone the place where its content has turned up; False if there is nothing to move any more.

    It keeps its id and what people noted on it; it is indexed anew, for its chunks name their path.
    """
    statement = select(Document).where(Document.id.in_((document_id, twin_id))).with_for_update()
    found = {document.id: document for document in (await session.scalars(statement)).all()}
    document, twin = found.get(document_id), found.get(twin_id)
    if document is None or twin is None or document.state not in _LIVE or twin.duplicate_of != document_id:
        return False
    names = ("uri", "path", "name", "size_bytes", "source_modify_time", "source_metadata")
    place = {name: getattr(twin, name) for name in names}
    await session.delete(twin)
    await session.flush()
    for name, value in place.items():
        setattr(document, name, value)
    document.state = DocumentState.PENDING
    document.content_version += 1
    await session.flush()
    return True


async def promote_orphans(session: AsyncSession, collection_id: str) -> None:
    """Index one of each group of duplicates whose original has other content now; the rest become its duplicates."""
    other, earlier = aliased(Document), aliased(Document)
    original = exists().where(
        other.collection_id == Document.collection_id,
        other.content_sha256 == Document.content_sha256,
        other.state != DocumentState.DELETED,
        other.reason.is_distinct_from(Reason.DUPLICATE),
    )
    first = ~exists().where(
        earlier.collection_id == Document.collection_id,
        earlier.content_sha256 == Document.content_sha256,
        earlier.reason == Reason.DUPLICATE,
        earlier.id < Document.id,
    )
    here = (Document.collection_id == collection_id, Document.reason == Reason.DUPLICATE, ~original, first)
    heirs = select(Document.id).where(*here).scalar_subquery()
    values = {"state": DocumentState.PENDING, "reason": None, "duplicate_of": None, "error_message": ""}
    await session.execute(update(Document).where(Document.id.in_(heirs)).values(**values))
    holder = aliased(Document)
    held = (
        holder.collection_id == Document.collection_id,
        holder.content_sha256 == Document.content_sha256,
        holder.state.in_(_LIVE),
    )
    astray = (Document.collection_id == collection_id, Document.reason == Reason.DUPLICATE)
    holder_id = select(holder.id).where(*held).correlate(Document).scalar_subquery()
    stale = exists().where(*held, holder.id.is_distinct_from(Document.duplicate_of))
    await session.execute(update(Document).where(*astray, stale).values(duplicate_of=holder_id))
