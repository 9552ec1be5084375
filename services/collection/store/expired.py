"""Deletes what is out of date, one page to a call."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from services.collection.tables import CachedEmbedding, OperationCount, StartRequest

PAGE = 1000
_REQUESTS = timedelta(days=30)
_COUNTS = timedelta(days=7)
_VECTORS = timedelta(hours=1)


async def delete_requests(session: AsyncSession) -> int:
    """Forget request ids; the same id is a new request from then on."""
    return await _delete_page(session, StartRequest, StartRequest.create_time, _REQUESTS, StartRequest.id)


async def delete_operation_counts(session: AsyncSession) -> int:
    """Delete what operations counted while they were at work; the result is theirs."""
    return await _delete_page(session, OperationCount, OperationCount.update_time, _COUNTS, OperationCount.operation_id)


async def trim_embedding_cache(session: AsyncSession) -> int:
    """Delete vectors that no commit came for."""
    key = (CachedEmbedding.digest, CachedEmbedding.precision, CachedEmbedding.text_sha256)
    return await _delete_page(session, CachedEmbedding, CachedEmbedding.last_used_time, _VECTORS, *key)


async def _delete_page(session: AsyncSession, table: type[Any], moment: InstrumentedAttribute[datetime], age: timedelta, *key: Any) -> int:
    # now() and not clock_timestamp(), which is volatile and keeps an index from being used.
    old = select(*key).where(moment < func.now() - age).order_by(moment).limit(PAGE).with_for_update(skip_locked=True)
    deleted = await session.execute(delete(table).where(tuple_(*key).in_(old)))
    return int(deleted.rowcount)  # type: ignore[attr-defined]
