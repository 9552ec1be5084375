"""Rings for those who wait for a change, in the transaction that makes it."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.operation.tables import Operation

CHANGED = "semantik_operation"
"""The channel on which the payload is the id of an operation that has changed."""
QUEUED = "semantik_queue"
"""The channel on which the payload is the name of a queue in which more may be claimed than before."""


async def changed(session: AsyncSession, operation: Operation) -> None:
    """Write the changes of ``operation`` under a new revision and ring for its watchers."""
    operation.revision += 1
    await session.flush()
    await session.refresh(operation)
    await ring(session, CHANGED, operation.id)


async def requeued(session: AsyncSession, operation: Operation) -> None:
    """The same for a change after which this operation, or one of its collection's others, may be claimed."""
    await changed(session, operation)
    await ring(session, QUEUED, operation.queue)


async def ring(session: AsyncSession, channel: str, payload: str) -> None:
    await session.execute(select(func.pg_notify(channel, payload)))
