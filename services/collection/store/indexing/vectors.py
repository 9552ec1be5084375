"""Vectors between the model and the commit: what a worker that dies has embedded is not embedded again."""

from collections.abc import Collection, Mapping

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, String, Text, any_, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import unnested
from services.collection.tables import CachedEmbedding, Generation


async def cached(session: AsyncSession, generation: Generation, digests: Collection[str]) -> dict[str, bytes]:
    """Return the vectors kept of these texts, by the texts' digests."""
    statement = select(CachedEmbedding.text_sha256, CachedEmbedding.vector).where(*_of(generation, digests))
    return dict((await session.execute(statement)).all())


async def keep(session: AsyncSession, generation: Generation, vectors: Mapping[str, bytes]) -> None:
    digests = sorted(vectors)
    given = unnested({"text_sha256": (Text, digests), "vector": (LargeBinary, [vectors[digest] for digest in digests])})
    same = {"digest": literal(generation.digest), "precision": literal(generation.precision), "last_used_time": func.clock_timestamp()}
    source = select(given.c.text_sha256, given.c.vector, *same.values())
    statement = insert(CachedEmbedding).from_select(["text_sha256", "vector", *same], source)
    await session.execute(statement.on_conflict_do_nothing())


async def forget(session: AsyncSession, generation: Generation, digests: Collection[str]) -> None:
    """Drop vectors that are in an index now."""
    await session.execute(delete(CachedEmbedding).where(*_of(generation, digests)))


def _of(generation: Generation, digests: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return (
        CachedEmbedding.digest == generation.digest,
        CachedEmbedding.precision == generation.precision,
        # One parameter, however many there are.
        CachedEmbedding.text_sha256 == any_(literal(list(digests), ARRAY(String))),
    )
