"""Queries on refresh tokens, sessions and revocations."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import now
from services.auth.tables import AuditEntry, RefreshToken, Revocation

# Longer than any access token lives.
_KEPT = timedelta(days=1, hours=1)


async def add(session: AsyncSession, token: RefreshToken) -> None:
    session.add(token)
    await session.flush()


async def lock_presented(session: AsyncSession, token_hash: str) -> RefreshToken | None:
    """Return a refresh token, its family locked until the transaction ends."""
    family_id = await session.scalar(select(RefreshToken.family_id).where(RefreshToken.token_hash == token_hash))
    if family_id is None:
        return None
    await _lock_family(session, family_id)
    # Read after the lock was granted: what another transaction did to the family meanwhile is seen.
    return await session.get(RefreshToken, token_hash)


async def find(session: AsyncSession, token_hash: str) -> RefreshToken | None:
    return await session.get(RefreshToken, token_hash)


async def owned(session: AsyncSession, family_id: str, user_id: str) -> bool:
    """Return whether the family is the user's."""
    statement = select(func.count()).where(RefreshToken.family_id == family_id, RefreshToken.user_id == user_id)
    return bool(await session.scalar(statement))


async def revoke(session: AsyncSession, family_id: str, reason: str) -> Revocation | None:
    """End a session: its refresh tokens and, by a revocation, its access tokens; return None if it had ended before."""
    await _lock_family(session, family_id)
    moment = now()
    statement = (
        update(RefreshToken).where(RefreshToken.family_id == family_id, RefreshToken.revoke_time.is_(None)).values(revoke_time=moment)
    )
    result = await session.execute(statement.returning(RefreshToken.token_hash))
    if not result.all():
        return None
    revocation = Revocation(session_id=family_id, not_before=moment, reason=reason)
    session.add(revocation)
    await session.execute(delete(Revocation).where(Revocation.not_before < moment - _KEPT))
    await session.flush()
    return revocation


async def live(session: AsyncSession, user_id: str, limit: int, before: tuple[datetime, str] | None) -> list[RefreshToken]:
    """List the newest token of each live session, the newest session first."""
    statement = select(RefreshToken).where(
        RefreshToken.user_id == user_id,
        RefreshToken.revoke_time.is_(None),
        RefreshToken.use_time.is_(None),
        RefreshToken.expire_time > func.clock_timestamp(),
    )
    if before is not None:
        statement = statement.where(tuple_(RefreshToken.start_time, RefreshToken.family_id) < before)
    statement = statement.order_by(RefreshToken.start_time.desc(), RefreshToken.family_id.desc()).limit(limit)
    return list((await session.scalars(statement)).all())


async def revocations_since(
    session: AsyncSession, not_before: datetime, limit: int, after: tuple[datetime, int] | None = None
) -> list[Revocation]:
    """List revocations of tokens issued after ``not_before``, oldest first; ``after`` is the (not_before, seq) of the last one read."""
    statement = select(Revocation).where(Revocation.not_before > not_before)
    if after is not None:
        statement = statement.where(tuple_(Revocation.not_before, Revocation.seq) > after)
    return list((await session.scalars(statement.order_by(Revocation.not_before, Revocation.seq).limit(limit))).all())


async def _lock_family(session: AsyncSession, family_id: str) -> None:
    """Let one transaction at a time exchange or revoke a family's tokens: a row that is being inserted cannot be locked."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"auth.family:{family_id}", 0))))


async def audit(session: AsyncSession, entry: AuditEntry) -> None:
    session.add(entry)
    await session.flush()


async def audited_as(session: AsyncSession, entry: AuditEntry, outcome: str) -> None:
    """Correct how an entry says that it ended."""
    await session.execute(update(AuditEntry).where(AuditEntry.id == entry.id).values(outcome=outcome))
