"""Queries on what users asked lately."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import DateTime, Integer, Text, any_, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.arrays import Rows, texts
from libs.db.tables import AnyRow
from services.search.tables import RecentQuery

MOST_QUERIES = 200

_NOTED = Rows(user_id=Text, text=Text, count=Integer, last_time=DateTime(timezone=True))
_INSERT = insert(RecentQuery).from_select(_NOTED.names, select(*(_NOTED.c[name] for name in _NOTED.names)).order_by(*_NOTED.c[:2]))
_NOTE = _INSERT.on_conflict_do_update(
    index_elements=[RecentQuery.user_id, RecentQuery.text],
    set_={
        "count": RecentQuery.count + _INSERT.excluded["count"],
        "last_time": func.greatest(RecentQuery.last_time, _INSERT.excluded.last_time),
        "update_time": func.clock_timestamp(),
    },
).execution_options(dml_strategy="raw")


async def note(session: AsyncSession, asked: Mapping[tuple[str, str], tuple[int, datetime]]) -> None:
    """Add to how often and when texts were asked, by user and text; of more than 200 of a user's the oldest go."""
    columns = zip(*((user_id, text, count, last_time) for (user_id, text), (count, last_time) in asked.items()), strict=True)
    await session.execute(_NOTE, _NOTED.parameters(**dict(zip(_NOTED.names, columns, strict=True))))
    newest = func.row_number().over(partition_by=RecentQuery.user_id, order_by=(RecentQuery.last_time.desc(), RecentQuery.text))
    users = list(dict.fromkeys(user_id for user_id, _ in asked))
    ranked = select(RecentQuery.user_id, RecentQuery.text, newest.label("place")).where(RecentQuery.user_id == any_(texts(users)))
    older = ranked.subquery()
    key = tuple_(RecentQuery.user_id, RecentQuery.text)
    await session.execute(delete(RecentQuery).where(key.in_(select(older.c.user_id, older.c.text).where(older.c.place > MOST_QUERIES))))


async def of_user(session: AsyncSession, user_id: str) -> Sequence[AnyRow]:
    """Return text, count and last time of a user's recent queries."""
    statement = select(RecentQuery.text, RecentQuery.count, RecentQuery.last_time).where(RecentQuery.user_id == user_id)
    return (await session.execute(statement)).all()


async def remove(session: AsyncSession, user_id: str, text: str = "") -> None:
    """Remove one of a user's recent queries, or all."""
    statement = delete(RecentQuery).where(RecentQuery.user_id == user_id)
    await session.execute(statement.where(RecentQuery.text == text) if text else statement)
