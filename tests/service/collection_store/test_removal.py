"""Large collections go in small statements."""

from collections.abc import Awaitable, Callable

from sqlalchemy import func, select, text

from services.collection.store.indexing import fences, removal
from services.collection.tables import Chunk, Collection
from tests.service.collection_store.conftest import Stored

_CHUNKS = 300_000
_DOCUMENTS = 600


async def _fill(stored: Stored) -> None:
    """Make documents of 500 chunks each by SQL, past the statement limit of the sessions."""
    values = {"collection": stored.collection.id, "source": stored.source.id, "documents": _DOCUMENTS, "chunks": _CHUNKS}
    async with stored.sessions.begin() as session:
        await session.execute(text("SET LOCAL statement_timeout = 0"))
        documents = (
            "INSERT INTO collection.documents (id, collection_id, source_id, uri, path, name, size_bytes, mime_type, language,"
            " content_sha256, is_original, content_version, state, source_metadata, metadata)"
            " SELECT 'big' || n, :collection, :source, 'u' || n, 'p' || n, 'n', 1, '', '', 'h' || n, true, 1, 'PRESENT', '{}', '{}'"
            " FROM generate_series(1, :documents) n"
        )
        indexes = (
            "INSERT INTO collection.document_indexes (document_id, generation, collection_id, content_version, state, error_message,"
            " is_retryable, deaths, indexed_version, chunk_count, token_count, size_bytes)"
            " SELECT id, 1, :collection, 1, 'INDEXED', '', false, 0, 1, 500, 500, 1"
            " FROM collection.documents WHERE collection_id = :collection"
        )
        chunks = (
            "INSERT INTO collection.chunks (collection_id, document_id, content_version, chunking_id, ordinal, text, start_offset,"
            " end_offset, token_count, text_sha256, page, section, level)"
            " SELECT :collection, 'big' || (n % :documents + 1), 1, 'c', n, repeat('word ', 40), 0, 1, 40, 'x', 0, '', 0"
            " FROM generate_series(1, :chunks) n"
        )
        for statement in (documents, indexes, chunks):
            await session.execute(text(statement), values)


async def test_a_collection_of_300000_chunks_goes_with_two_seconds_a_statement(stored: Callable[[], Awaitable[Stored]]) -> None:
    """No statement of a deletion grows with the collection."""
    here = await stored()
    await _fill(here)
    while True:
        async with here.sessions() as session:
            page = await removal.documents_of_collection(session, here.collection.id, 500)
        if not page:
            break
        for start in range(0, len(page), 50):
            deleted = 1
            while deleted:
                async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
                    deleted = await removal.delete_chunks(session, here.collection.id, page[start : start + 50])
        async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
            await removal.drop_documents(session, page)
    async with fences.fenced(here.sessions, here.collection.id, here.fence) as session:
        await removal.delete_collection(session, here.collection.id)
    async with here.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Chunk).where(Chunk.collection_id == here.collection.id)) == 0
        assert await session.get(Collection, here.collection.id) is None
