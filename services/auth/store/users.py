"""Queries on users."""

from sqlalchemy import exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.tables import Role, User


async def add(session: AsyncSession, user: User) -> str | None:
    """Insert the user and return None, or return the field that another user has. The first user of all becomes ADMIN."""
    # One registration at a time, so that exactly one of them is the first.
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('auth.register'))"))
    other = (
        await session.scalars(select(User).where(or_(User.username == user.username, User.email == user.email)).limit(1))
    ).one_or_none()
    if other:
        return "username" if other.username == user.username else "email"
    if not await session.scalar(select(exists().select_from(User))):
        user.role = Role.ADMIN
    session.add(user)
    await session.flush()
    await session.refresh(user)
    return None


async def by_login(session: AsyncSession, name: str) -> User | None:
    """Return the user with a username or email, which the caller has case-folded."""
    column = User.email if "@" in name else User.username
    return (await session.scalars(select(User).where(column == name))).one_or_none()


async def by_id(session: AsyncSession, user_id: str) -> User | None:
    return await session.get(User, user_id)


async def signed_in(session: AsyncSession, user: User) -> None:
    user.last_login_time = await session.scalar(select(func.clock_timestamp()))
    await session.flush()
