"""Queries on evaluations. What a worker writes carries its fence."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.search.tables import EvaluatedQuery, Evaluation, JudgedQuery

_REMOVED_AT_ONCE = 10  # each with up to 10,000 queries
_READ_AT_ONCE = 250


async def get(session: AsyncSession, user_id: str, evaluation_id: str) -> Evaluation | None:
    statement = select(Evaluation).where(Evaluation.id == evaluation_id, Evaluation.user_id == user_id)
    return (await session.scalars(statement)).one_or_none()


async def count(session: AsyncSession, user_id: str) -> int:
    """Return the number of a user's evaluations, of all collections."""
    return (await session.execute(select(func.count()).where(Evaluation.user_id == user_id))).scalar_one()


async def start(session: AsyncSession, values: Mapping[str, Any]) -> tuple[Evaluation, bool]:
    """Insert an evaluation unless its id is there, with those queries of its set that have a relevant document.

    Returns it with whether it is new.
    """
    inserted = await session.execute(insert(Evaluation).values(**values).on_conflict_do_nothing().returning(Evaluation.id))
    is_new = inserted.scalar_one_or_none() is not None
    evaluation: Evaluation = await session.get_one(Evaluation, values["id"])
    if is_new:
        columns = ("evaluation_id", "id", "text", "judgements")
        taken = select(literal(evaluation.id), JudgedQuery.id, JudgedQuery.text, JudgedQuery.judgements).where(
            JudgedQuery.judged_set_id == evaluation.judged_set_id, JudgedQuery.relevant_count > 0
        )
        copied = await session.execute(insert(EvaluatedQuery).from_select(columns, taken).returning(EvaluatedQuery.id))
        evaluation.query_count = len(copied.all())
        await session.flush()
    return evaluation, is_new


async def listed(
    session: AsyncSession, user_id: str, collection_id: str, limit: int, before: tuple[datetime, str] | None
) -> Sequence[Evaluation]:
    """List a user's evaluations of a collection that it may read, newest first."""
    statement = select(Evaluation).where(Evaluation.user_id == user_id, Evaluation.collection_id == collection_id)
    if before is not None:
        statement = statement.where(tuple_(Evaluation.create_time, Evaluation.id) < before)
    return (await session.scalars(statement.order_by(Evaluation.create_time.desc(), Evaluation.id.desc()).limit(limit))).all()


async def remove(session: AsyncSession, evaluation_id: str) -> None:
    await session.execute(delete(Evaluation).where(Evaluation.id == evaluation_id))


async def remove_some_of(session: AsyncSession, collection_id: str) -> bool:
    """Remove some of everybody's for a collection that is being deleted; False once there are none."""
    some = select(Evaluation.id).where(Evaluation.collection_id == collection_id).limit(_REMOVED_AT_ONCE)
    return bool((await session.execute(delete(Evaluation).where(Evaluation.id.in_(some)).returning(Evaluation.id))).all())


async def queries(session: AsyncSession, evaluation_id: str, limit: int, after: str = "") -> Sequence[EvaluatedQuery]:
    """List the queries of an evaluation by their ids, those after ``after``."""
    statement = select(EvaluatedQuery).where(EvaluatedQuery.evaluation_id == evaluation_id, EvaluatedQuery.id > after)
    return (await session.scalars(statement.order_by(EvaluatedQuery.id).limit(limit))).all()


async def all_queries(session: AsyncSession, evaluation_id: str) -> list[EvaluatedQuery]:
    """Return all queries of an evaluation, page by page, so that the searches of this process do not wait for thousands of rows."""
    found: list[EvaluatedQuery] = []
    while page := await queries(session, evaluation_id, _READ_AT_ONCE, found[-1].id if found else ""):
        found.extend(page)
    return found


async def open_queries(session: AsyncSession, evaluation_id: str, limit: int) -> Sequence[EvaluatedQuery]:
    """List the first queries that were not answered yet."""
    here = (EvaluatedQuery.evaluation_id == evaluation_id, EvaluatedQuery.found.is_(None))
    return (await session.scalars(select(EvaluatedQuery).where(*here).order_by(EvaluatedQuery.id).limit(limit))).all()


async def answered(session: AsyncSession, evaluation_id: str) -> int:
    """Return how many queries were answered."""
    here = (EvaluatedQuery.evaluation_id == evaluation_id, EvaluatedQuery.found.is_not(None))
    return (await session.execute(select(func.count()).where(*here))).scalar_one()


async def claim(session: AsyncSession, evaluation_id: str, operation_id: str, fence: int) -> Evaluation | None:
    """Raise the fence of an evaluation, and return it; None if it is gone or a newer claim has it."""
    statement = select(Evaluation).where(Evaluation.id == evaluation_id, Evaluation.fence <= fence).with_for_update()
    evaluation = (await session.scalars(statement)).one_or_none()
    if evaluation is not None:
        evaluation.fence, evaluation.operation_id = fence, operation_id
    return evaluation


async def exists(session: AsyncSession, evaluation_id: str) -> bool:
    return await session.get(Evaluation, evaluation_id) is not None


async def held(session: AsyncSession, evaluation_id: str, fence: int) -> Evaluation | None:
    """Return an evaluation, locked, if this claim is its latest."""
    statement = select(Evaluation).where(Evaluation.id == evaluation_id, Evaluation.fence == fence).with_for_update()
    return (await session.scalars(statement)).one_or_none()


async def answer(session: AsyncSession, query: EvaluatedQuery, found: Sequence[Sequence[Any]], documents: int, seconds: float) -> None:
    """Store the answer to a query of an evaluation that the caller holds."""
    here = (EvaluatedQuery.evaluation_id == query.evaluation_id, EvaluatedQuery.id == query.id)
    values = {"found": [list(each) for each in found], "document_count": documents, "seconds": seconds}
    await session.execute(update(EvaluatedQuery).where(*here).values(values))
