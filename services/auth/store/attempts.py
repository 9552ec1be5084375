"""Queries on attempts to sign in or register: how many of a bucket failed in the last 15 minutes, and when the next one may be."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, extract, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.limits import Bucket, wait_seconds
from services.auth.tables import Attempt

_WINDOW = timedelta(minutes=15)


async def reserve(session: AsyncSession, buckets: Sequence[Bucket]) -> list[int] | float:
    """Count an attempt in each bucket from its beginning, so that many at once get no further than one after the other.

    Returns the attempt's rows, or, if one of the buckets makes it wait, the seconds until then; it is not counted.
    """
    buckets = sorted(buckets, key=lambda bucket: bucket.key)  # one order of locks
    for bucket in buckets:
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"auth.attempts:{bucket.key}", 0))))
    wait = max([await _wait(session, bucket) for bucket in buckets], default=0.0)
    if wait > 0:
        return wait
    rows = await session.scalars(insert(Attempt).returning(Attempt.seq), [{"bucket": bucket.key} for bucket in buckets])
    return list(rows.all())


async def forgive(session: AsyncSession, attempt: Sequence[int]) -> None:
    """Count an attempt no more."""
    await session.execute(delete(Attempt).where(Attempt.seq.in_(attempt)))


async def _wait(session: AsyncSession, bucket: Bucket) -> float:
    moment = func.clock_timestamp()
    age = extract("epoch", moment - func.max(Attempt.create_time))
    statement = select(func.count(), age).where(Attempt.bucket == bucket.key, Attempt.create_time > moment - _WINDOW)
    count, newest_age = (await session.execute(statement)).one()
    return wait_seconds(bucket, count, float(newest_age or 0.0))
