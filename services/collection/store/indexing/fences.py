"""The fence on a collection: only the newest claim writes, and only in a transaction that holds it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import case, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.work.errors import FencedError
from services.collection.tables import Collection, CollectionState


async def raise_fence(session: AsyncSession, collection_id: str, fence: int) -> Collection | None:
    """Write a claim's fence on its collection and mark it PROCESSING; None where the collection is gone.

    Raises FencedError if a newer claim was here. One statement decides, so that no stale copy of the row is believed.
    """
    is_deleting = Collection.state == CollectionState.DELETING
    values = {
        "write_fence": fence,
        "state": case((is_deleting, Collection.state), else_=CollectionState.PROCESSING.value),
        "state_reason": "",
    }
    here = (Collection.id == collection_id, Collection.write_fence <= fence)
    raised = await session.scalars(update(Collection).where(*here).values(**values).returning(Collection))
    collection = raised.one_or_none()
    if collection is None and await session.scalar(select(Collection.id).where(Collection.id == collection_id)) is not None:
        raise FencedError
    return collection


@asynccontextmanager
async def fenced(sessions: Sessions, collection_id: str, fence: int) -> AsyncIterator[AsyncSession]:
    """Open a transaction in which the claim ``fence`` may write; the only way in which a worker does.

    It holds the collection's row (FOR NO KEY UPDATE) to its end: no newer claim begins, and no document of the collection
    changes meanwhile, because everybody who changes one locks the collection first. Raises FencedError if a newer claim
    has begun or the collection is gone.
    """
    async with sessions.begin() as session:
        held = select(Collection.write_fence).where(Collection.id == collection_id).with_for_update(key_share=True)
        if await session.scalar(held) != fence:
            raise FencedError
        yield session
