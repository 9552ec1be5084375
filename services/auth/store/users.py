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
    taken_field = await taken(session, user.username, user.email)
    if taken_field:
        return taken_field
    if not await any_registered(session):
        user.role = Role.ADMIN
    session.add(user)
    await session.flush()
    await session.refresh(user)
    return None


async def any_registered(session: AsyncSession) -> bool:
    return bool(await session.scalar(select(exists().select_from(User))))


async def taken(session: AsyncSession, username: str, email: str) -> str | None:
    """Return which of the two another user has."""
    other = await session.scalar(select(User.username).where(or_(User.username == username, User.email == email)).limit(1))
    if other is None:
        return None
    return "username" if other == username else "email"


async def by_login(session: AsyncSession, name: str) -> User | None:
    """Return the user with a username or email, which the caller has case-folded."""
    column = User.email if "@" in name else User.username
    return (await session.scalars(select(User).where(column == name))).one_or_none()


async def by_id(session: AsyncSession, user_id: str) -> User | None:
    return await session.get(User, user_id)


async def signed_in(session: AsyncSession, user: User) -> None:
    user.last_login_time = await session.scalar(select(func.clock_timestamp()))
    await session.flush()
