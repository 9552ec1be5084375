"""A collection's tables in a real Postgres, without any service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.postgres import Postgres
from libs.db import engine as db
from libs.db.engine import Sessions
from libs.db.migrate import upgrade
from libs.db.tables import new_id
from services.collection.store.indexing import fences, scan
from services.collection.store.indexing.commits import Indexed
from services.collection.store.indexing.worklist import Item
from services.collection.tables import Collection, Generation, Source
from tests.servers import postgres

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
_DATABASE = "stores"


@dataclass
class Stored:
    """A collection with a source and one generation; ``fence`` is its newest claim's."""

    sessions: Sessions
    collection: Collection
    generation: Generation
    source: Source
    fence: int = 1

    async def claim(self) -> int:
        """Begin a new claim."""
        self.fence += 1
        async with self.sessions.begin() as session:
            await fences.raise_fence(session, self.collection.id, self.fence)
        return self.fence

    async def insert(self, contents: dict[str, str]) -> dict[str, str]:
        """Store new documents by name and content; return their ids by name."""
        rows = [
            scan.Row(new_id(), f"file:///{name}", name, name, "", len(text), NOON, {"kind": "file", "path": name}, text)
            for name, text in contents.items()
        ]
        async with fences.fenced(self.sessions, self.collection.id, self.fence) as session:
            assert len(await scan.insert_documents(session, self.generation, self.source.id, rows)) == len(rows)
        return {row.name: row.id for row in rows}

    async def counters(self) -> tuple[int, int, int, int]:
        """Return documents, chunks and bytes of the collection, and documents of the source."""
        async with self.sessions() as session:
            collection = await session.get_one(Collection, self.collection.id)
            source = await session.get_one(Source, self.source.id)
            return collection.document_count, collection.chunk_count, collection.size_bytes, source.document_count


def chunked(generation: Generation, item: Item, chunks: int = 2) -> Indexed:
    """Return an item as the pipeline commits it."""
    rows = [
        {
            "collection_id": generation.collection_id,
            "document_id": item.document_id,
            "content_version": item.content_version,
            "chunking_id": generation.chunking_id,
            "ordinal": ordinal,
            "text": f"chunk {ordinal}",
            "start_offset": ordinal,
            "end_offset": ordinal + 1,
            "token_count": 2,
            "text_sha256": "digest",
            "page": 0,
            "section": "",
            "level": 0,
            "parent_ordinal": None,
        }
        for ordinal in range(chunks)
    ]
    return Indexed(item, "text", "text/plain", "en", False, rows, 2 * chunks)


@pytest.fixture(scope="session")
async def cluster() -> AsyncIterator[Postgres]:
    async with postgres() as started:
        await started.create(_DATABASE)
        await asyncio.to_thread(upgrade, "collection", started.url("collection", _DATABASE))
        yield started


@pytest.fixture(scope="session")
async def sessions(cluster: Postgres) -> AsyncIterator[Sessions]:
    # Two seconds a statement: whatever is unbounded shows itself.
    options = {"options": "-c statement_timeout=2000 -c timezone=UTC"}
    engine = create_async_engine(cluster.url("collection", _DATABASE), connect_args=options)
    yield db.sessions(engine)
    await engine.dispose()


@pytest.fixture
def stored(sessions: Sessions) -> Callable[[], Awaitable[Stored]]:
    """Make a collection."""

    async def make() -> Stored:
        async with sessions.begin() as session:
            collection = Collection(name="papers", owner_id=new_id(), write_fence=1)
            session.add(collection)
            await session.flush()
            generation = Generation(
                collection_id=collection.id,
                generation=1,
                state="ACTIVE",
                qdrant_name=f"{collection.id}_g1",
                model="m",
                digest="d",
                precision="INT8",
                dimension=4,
                max_length=256,
                pooling="MEAN",
                chunk_size=200,
                chunk_overlap=40,
                chunking_id="c",
            )
            source = Source(collection_id=collection.id, kind="DIRECTORY", location="/papers")
            session.add_all([generation, source])
        return Stored(sessions, collection, generation, source)

    return make
