"""Vectors between the model and the commit: what a worker that dies has embedded is not embedded again."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ARRAY, LargeBinary, Text, any_, bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import Rows
from services.collection.tables import CachedEmbedding, Generation

_DIGEST, _PRECISION = bindparam("of_digest", type_=Text), bindparam("of_precision", type_=Text)
_VECTORS = Rows(text_sha256=Text, vector=LargeBinary)
_OF = (
    CachedEmbedding.digest == _DIGEST,
    CachedEmbedding.precision == _PRECISION,
    CachedEmbedding.text_sha256 == any_(bindparam("of_texts", type_=ARRAY(Text))),
)
_CACHED = select(CachedEmbedding.text_sha256, CachedEmbedding.vector).where(*_OF)
_FORGET = delete(CachedEmbedding).where(*_OF).execution_options(synchronize_session=False)
_KEEP = (
    insert(CachedEmbedding)
    .from_select(
        ["text_sha256", "vector", "digest", "precision", "last_used_time"],
        select(_VECTORS.c.text_sha256, _VECTORS.c.vector, _DIGEST, _PRECISION, func.clock_timestamp()),
    )
    .on_conflict_do_nothing()
    .execution_options(dml_strategy="raw")
)


async def cached(session: AsyncSession, generation: Generation, digests: Collection[str]) -> dict[str, bytes]:
    """Return the vectors kept of these texts, by the texts' digests."""
    return dict((await session.execute(_CACHED, {**_model(generation), "of_texts": list(digests)})).all())


async def keep(session: AsyncSession, generation: Generation, vectors: Mapping[str, bytes]) -> None:
    """Keep vectors by their texts' digests."""
    digests = sorted(vectors)
    rows = _VECTORS.parameters(text_sha256=digests, vector=[vectors[digest] for digest in digests])
    await session.execute(_KEEP, _model(generation) | rows)


async def forget(session: AsyncSession, generation: Generation, digests: Collection[str]) -> None:
    """Drop vectors that are in an index now."""
    await session.execute(_FORGET, {**_model(generation), "of_texts": list(digests)})


def _model(generation: Generation) -> dict[str, Any]:
    return {"of_digest": generation.digest, "of_precision": generation.precision}
