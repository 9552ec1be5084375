"""Queries on attempts to sign in: how many were refused in the last 15 minutes."""

from datetime import timedelta

from sqlalchemy import ColumnElement, extract, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.tables import AuditEntry

_WINDOW = timedelta(minutes=15)
_MAX_PER_ACCOUNT = 10
_MAX_PER_ADDRESS = 100


async def reserve(session: AsyncSession, attempt: AuditEntry) -> float | None:
    """Record an attempt, as refused until its password is known to be right.

    If its account or its address has too many refused ones, record nothing and return the seconds until the next attempt
    is allowed. An attempt counts from its beginning, so that many at once get no further than one after the other.
    """
    limits = ((AuditEntry.actor, attempt.actor, _MAX_PER_ACCOUNT), (AuditEntry.address, attempt.address, _MAX_PER_ADDRESS))
    for column, value, maximum in limits:
        if not value:
            continue
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"auth.login:{column.key}:{value}"))))
        wait = await _wait(session, column == value, maximum)
        if wait is not None:
            return wait
    session.add(attempt)
    await session.flush()
    return None


async def succeeded(session: AsyncSession, attempt: AuditEntry) -> None:
    await session.execute(update(AuditEntry).where(AuditEntry.id == attempt.id).values(outcome="ok"))


async def _wait(session: AsyncSession, whose: ColumnElement[bool], maximum: int) -> float | None:
    seconds_left = extract("epoch", AuditEntry.create_time + _WINDOW - func.clock_timestamp())
    recent = AuditEntry.create_time > func.clock_timestamp() - _WINDOW
    # Literals, not parameters, so that the partial indexes serve it.
    refused = text("action = 'login' AND outcome = 'refused'")
    statement = select(seconds_left).where(whose, recent, refused)
    seconds = await session.scalar(statement.order_by(AuditEntry.create_time.desc()).offset(maximum - 1).limit(1))
    return None if seconds is None else float(seconds)
