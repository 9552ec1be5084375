"""Queries on sign-in codes."""

from datetime import timedelta

from sqlalchemy import delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import now
from services.auth.tables import RefreshToken, SignInCode, User

LIFETIME = timedelta(minutes=5)


async def put(session: AsyncSession, code: SignInCode) -> None:
    """Store a code in place of the one its session had."""
    values = {"code_hash": code.code_hash, "expire_time": code.expire_time}
    statement = insert(SignInCode).values(session_id=code.session_id, user_id=code.user_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[SignInCode.session_id], set_=values))


async def take(session: AsyncSession, code_hash: str) -> User | None:
    """Use a code up and return its user; None where it does not hold, or the session that made it has ended."""
    taken = delete(SignInCode).where(SignInCode.code_hash == code_hash).returning(SignInCode)
    code = (await session.scalars(taken)).one_or_none()
    if code is None or code.expire_time <= now():
        return None
    is_live = exists().where(
        RefreshToken.family_id == code.session_id,
        RefreshToken.revoke_time.is_(None),
        RefreshToken.expire_time > func.clock_timestamp(),
    )
    statement = select(User).where(User.id == code.user_id, User.is_active, is_live)
    return (await session.scalars(statement)).one_or_none()
