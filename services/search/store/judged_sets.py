"""Queries on judged sets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import new_id
from services.search.tables import JudgedQuery, JudgedSet

_REMOVED_AT_ONCE = 10  # each with up to 10,000 queries


async def one_at_a_time(session: AsyncSession, user_id: str) -> None:
    """Let this user's other transactions that count rows wait until this one has ended."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"search {user_id}", 0))))


async def get(session: AsyncSession, user_id: str, judged_set_id: str) -> JudgedSet | None:
    statement = select(JudgedSet).where(JudgedSet.id == judged_set_id, JudgedSet.user_id == user_id)
    return (await session.scalars(statement)).one_or_none()


async def named(session: AsyncSession, user_id: str, collection_id: str, name: str) -> JudgedSet | None:
    here = (JudgedSet.user_id == user_id, JudgedSet.collection_id == collection_id, JudgedSet.name == name)
    return (await session.scalars(select(JudgedSet).where(*here))).one_or_none()


async def count(session: AsyncSession, user_id: str) -> int:
    """Return the number of a user's sets, of all collections."""
    return (await session.execute(select(func.count()).where(JudgedSet.user_id == user_id))).scalar_one()


async def add(session: AsyncSession, user_id: str, collection_id: str, name: str) -> JudgedSet:
    judged_set = JudgedSet(id=new_id(), user_id=user_id, collection_id=collection_id, name=name)
    session.add(judged_set)
    await session.flush()
    return judged_set


async def listed(
    session: AsyncSession, user_id: str, collection_id: str, limit: int, before: tuple[datetime, str] | None
) -> Sequence[JudgedSet]:
    """List a user's sets of a collection that it may read, newest first."""
    statement = select(JudgedSet).where(JudgedSet.user_id == user_id, JudgedSet.collection_id == collection_id)
    if before is not None:
        statement = statement.where(tuple_(JudgedSet.create_time, JudgedSet.id) < before)
    return (await session.scalars(statement.order_by(JudgedSet.create_time.desc(), JudgedSet.id.desc()).limit(limit))).all()


async def remove(session: AsyncSession, judged_set_id: str) -> None:
    await session.execute(delete(JudgedSet).where(JudgedSet.id == judged_set_id))


async def remove_some_of(session: AsyncSession, collection_id: str) -> bool:
    """Remove some of everybody's for a collection that is being deleted; False once there are none."""
    some = select(JudgedSet.id).where(JudgedSet.collection_id == collection_id).limit(_REMOVED_AT_ONCE)
    return bool((await session.execute(delete(JudgedSet).where(JudgedSet.id.in_(some)).returning(JudgedSet.id))).all())


async def put(session: AsyncSession, judged_set_id: str, queries: Sequence[Mapping[str, Any]]) -> JudgedSet | None:
    """Insert or replace queries of a set, count anew, and return the set, locked until the end of the transaction; None if it is gone."""
    judged_set = await session.get(JudgedSet, judged_set_id, with_for_update=True, populate_existing=True)
    if judged_set is None:
        return None
    statement = insert(JudgedQuery).values([{**query, "judged_set_id": judged_set_id} for query in queries])
    changed = {name: statement.excluded[name] for name in ("text", "judgements", "judgement_count", "relevant_count", "size_bytes")}
    key = [JudgedQuery.judged_set_id, JudgedQuery.id]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))
    of_all = (func.count(), func.sum(JudgedQuery.judgement_count))
    counts = await session.execute(select(*of_all).where(JudgedQuery.judged_set_id == judged_set_id))
    judged_set.query_count, judged_set.judgement_count = counts.one()
    judged_set.update_time = func.clock_timestamp()
    await session.flush()
    return judged_set


async def size_bytes(session: AsyncSession, judged_set_id: str) -> int:
    """Return the size of a set's texts."""
    statement = select(func.coalesce(func.sum(JudgedQuery.size_bytes), 0)).where(JudgedQuery.judged_set_id == judged_set_id)
    return int((await session.execute(statement)).scalar_one())


async def query(session: AsyncSession, judged_set_id: str, query_id: str) -> JudgedQuery | None:
    return await session.get(JudgedQuery, (judged_set_id, query_id))


async def queries(session: AsyncSession, judged_set_id: str, limit: int, after: str) -> Sequence[JudgedQuery]:
    """List the queries of a set by their ids, those after ``after``."""
    statement = select(JudgedQuery).where(JudgedQuery.judged_set_id == judged_set_id, JudgedQuery.id > after)
    return (await session.scalars(statement.order_by(JudgedQuery.id).limit(limit))).all()
