"""Queries on attempts to sign in: how many were refused lately."""

from datetime import timedelta

from sqlalchemy import ColumnElement, extract, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.tables import AuditEntry

_WINDOW = timedelta(minutes=15)
_MOST_PER_ACCOUNT = 10
_MOST_PER_ADDRESS = 100


async def reserve(session: AsyncSession, attempt: AuditEntry) -> float | None:
    """Record an attempt, as refused until it is known to be good.

    Where its account or its address has had too many refused ones, nothing is recorded and the seconds until the next
    may be made are returned. Attempts count from their beginning, so that many at once get no further than one by one.
    """
    limits = ((AuditEntry.actor, attempt.actor, _MOST_PER_ACCOUNT), (AuditEntry.address, attempt.address, _MOST_PER_ADDRESS))
    for column, value, most in limits:
        if not value:
            continue
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"auth.login:{column.key}:{value}"))))
        wait = await _wait(session, column == value, most)
        if wait is not None:
            return wait
    session.add(attempt)
    await session.flush()
    return None


async def succeeded(session: AsyncSession, attempt: AuditEntry) -> None:
    await session.execute(update(AuditEntry).where(AuditEntry.id == attempt.id).values(outcome="ok"))


async def _wait(session: AsyncSession, whose: ColumnElement[bool], most: int) -> float | None:
    left = extract("epoch", AuditEntry.create_time + _WINDOW - func.clock_timestamp())
    recent = AuditEntry.create_time > func.clock_timestamp() - _WINDOW
    # Written out, not as parameters, so that the partial indexes serve it.
    refused = text("action = 'login' AND outcome = 'refused'")
    statement = select(left).where(whose, recent, refused)
    seconds = await session.scalar(statement.order_by(AuditEntry.create_time.desc()).offset(most - 1).limit(1))
    return None if seconds is None else float(seconds)
