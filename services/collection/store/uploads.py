"""What an upload changes: its document's row, its place among equal contents, and what is to be indexed."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Integer, Text, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import AnyRow
from services.collection.locators import object_locator
from services.collection.store import objects, sources
from services.collection.store.indexing import counts, duplicates
from services.collection.store.indexing.counts import Delta
from services.collection.tables import (
    Artifact,
    ArtifactKind,
    Collection,
    Document,
    DocumentIndex,
    DocumentState,
    Generation,
    GenerationState,
    IndexState,
    Reason,
    Source,
)

_BUILT = (GenerationState.ACTIVE, GenerationState.BUILDING)


@dataclass(frozen=True)
class Content:
    """What was uploaded under a name, and where its bytes lie; ``mime_type`` is empty where the caller did not say."""

    name: str
    mime_type: str
    sha256: str
    size_bytes: int
    object_key: str


async def document_id(session: AsyncSession, collection_id: str, name: str) -> str | None:
    """Return the id of the document of this name, present or deleted; one of a removed source counts as none."""
    named = select(Document.id).join(Source, Source.id == Document.source_id).where(Source.delete_time.is_(None))
    return await session.scalar(named.where(Document.collection_id == collection_id, Document.uri == _uri(name)))


async def take_in(session: AsyncSession, collection_id: str, document_id: str, content: Content) -> bool:
    """Give a document, known or new, its new content; return whether there is something to index.

    The caller has locked the collection. A document that was deleted comes back with a new content version, so that the
    purge of the old one takes nothing of it. Without a new content the object stays without an owner. Raises
    ``objects.LostError`` if the object is about to be deleted.
    """
    source_id = await sources.for_uploads(session, collection_id)
    await _insert_missing(session, collection_id, source_id, document_id, content.name)
    known = await _known(session, document_id)
    if _has_content(known, content):
        return known.index_state in (IndexState.PENDING, IndexState.PROCESSING)
    await objects.own(session, content.object_key)
    await _leave_place(session, collection_id, known)
    original_id = await original(session, collection_id, content.sha256)
    version = await _put_content(session, known.id, source_id, content, original_id)
    await put_index_rows(session, collection_id, known.id, version, is_duplicate=original_id is not None)
    if known.is_deleted and known.indexed_version:
        # It left the counters when it went, and what is indexed of it is counted until something else is.
        await counts.apply(session, collection_id, [Delta(source_id, 1, known.chunk_count, known.indexed_bytes)])
    await _put_original(session, known.id, version, content)
    return original_id is None


def _uri(name: str) -> str:
    return f"upload:{name}"


async def _known(session: AsyncSession, document_id: str) -> AnyRow:
    statement = (
        select(
            Document.id,
            Document.content_version,
            Document.content_sha256,
            Document.is_original,
            (Document.state == DocumentState.DELETED).label("is_deleted"),
            DocumentIndex.state.label("index_state"),
            DocumentIndex.reason,
            DocumentIndex.indexed_version,
            DocumentIndex.chunk_count,
            DocumentIndex.size_bytes.label("indexed_bytes"),
        )
        .join(Collection, Collection.id == Document.collection_id)
        .outerjoin(DocumentIndex, (DocumentIndex.document_id == Document.id) & (DocumentIndex.generation == Collection.generation))
        .where(Document.id == document_id)
    )
    return (await session.execute(statement)).one()


async def _insert_missing(session: AsyncSession, collection_id: str, source_id: str, document_id: str, name: str) -> None:
    # A document of a removed source has this name until the removal gets to it; it gives the name up now.
    removed = select(Source.id).where(Source.collection_id == collection_id, Source.delete_time.is_not(None))
    former = (Document.collection_id == collection_id, Document.uri == _uri(name), Document.source_id.in_(removed))
    await session.execute(update(Document).where(*former).values(uri=Document.uri + "#" + Document.id))
    values = {
        "id": document_id,
        "collection_id": collection_id,
        "source_id": source_id,
        "uri": _uri(name),
        "path": name,
        "name": name.rpartition("/")[2],
        "content_version": 0,
    }
    await session.execute(insert(Document).values(**values).on_conflict_do_nothing())


def _has_content(known: AnyRow, content: Content) -> bool:
    if known.is_deleted or known.content_sha256 != content.sha256:
        return False
    # The same bytes once more are a way to try again what was refused.
    return known.index_state not in (None, IndexState.FAILED, IndexState.SKIPPED) or known.reason == Reason.DUPLICATE


async def _leave_place(session: AsyncSession, collection_id: str, known: AnyRow) -> None:
    if known.is_original:
        await session.execute(update(Document).where(Document.id == known.id).values(is_original=False))
        await duplicates.promote(session, collection_id, [known.content_sha256])


async def original(session: AsyncSession, collection_id: str, sha256: str) -> str | None:
    """Return the document that is indexed for these bytes; one of a removed source makes room."""
    here = (Document.collection_id == collection_id, Document.content_sha256 == sha256, Document.is_original)
    columns = (Document.id, Source.delete_time.is_not(None).label("is_gone"))
    holder = (await session.execute(select(*columns).join(Source, Source.id == Document.source_id).where(*here))).one_or_none()
    if holder is None or not holder.is_gone:
        return holder.id if holder else None
    await session.execute(update(Document).where(Document.id == holder.id).values(is_original=False))
    return None


async def _put_content(session: AsyncSession, document_id: str, source_id: str, content: Content, original_id: str | None) -> int:
    values: Mapping[str, object] = {
        "source_id": source_id,
        "source_metadata": object_locator(content.object_key),
        "size_bytes": content.size_bytes,
        "mime_type": content.mime_type,
        "content_sha256": content.sha256,
        "content_version": Document.content_version + 1,
        "is_original": original_id is None,
        "duplicate_of": original_id,
        "state": DocumentState.PRESENT,
        "delete_time": None,
        "purge_time": None,
    }
    changed = update(Document).where(Document.id == document_id).values(**values).returning(Document.content_version)
    return int((await session.scalars(changed)).one())


async def put_index_rows(session: AsyncSession, collection_id: str, document_id: str, version: int, *, is_duplicate: bool) -> None:
    """Let the document wait in the generations that are kept up to date; what is indexed of it stays until then."""
    state = IndexState.SKIPPED if is_duplicate else IndexState.PENDING
    values = {
        "content_version": version,
        "state": state.value,
        "reason": Reason.DUPLICATE.value if is_duplicate else None,
        "error_message": "",
        "is_retryable": False,
        "deaths": 0,
    }
    zeros = ("indexed_version", "chunk_count", "token_count", "size_bytes")
    types = DocumentIndex.__table__.c
    columns = (literal(document_id, Text), Generation.generation, Generation.collection_id)
    given = [literal(value, types[name].type) for name, value in values.items()] + [literal(0, Integer) for _ in zeros]
    rows = select(*columns, *given).where(Generation.collection_id == collection_id, Generation.state.in_(_BUILT))
    names = ("document_id", "generation", "collection_id", *values, *zeros)
    statement = insert(DocumentIndex).from_select(names, rows, include_defaults=False)
    changed = {**values, "update_time": func.clock_timestamp()}
    await session.execute(statement.on_conflict_do_update(index_elements=["document_id", "generation"], set_=changed))


async def _put_original(session: AsyncSession, document_id: str, version: int, content: Content) -> None:
    """Store where the bytes lie, in place of those of earlier versions."""
    earlier = (Artifact.document_id == document_id, Artifact.kind == ArtifactKind.ORIGINAL, Artifact.content_version < version)
    keys = (await session.scalars(delete(Artifact).where(*earlier).returning(Artifact.object_key))).all()
    await objects.abandon(session, [key for key in keys if key])
    original = {
        "document_id": document_id,
        "content_version": version,
        "kind": ArtifactKind.ORIGINAL,
        "mime_type": content.mime_type or "application/octet-stream",
        "object_key": content.object_key,
        "content_sha256": content.sha256,
        "size_bytes": content.size_bytes,
    }
    await session.execute(insert(Artifact).values(**original))
