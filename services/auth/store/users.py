"""Queries on users."""

from sqlalchemy import bindparam, exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from libs.db.tables import AnyRow
from services.auth.tables import Role, User

# What a user may see of an account; selected by columns, which costs a third of loading an object.
_ACCOUNT = select(
    User.id,
    User.username,
    User.email,
    User.full_name,
    User.role,
    User.is_active,
    User.create_time,
    User.update_time,
    User.last_login_time,
).where(User.id == bindparam("user_id"))


async def account(connection: AsyncConnection, user_id: str) -> AnyRow | None:
    """Return what a user may see of their account: all of ``User`` but its secrets."""
    return (await connection.execute(_ACCOUNT, {"user_id": user_id})).one_or_none()


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
