"""What state a collection is in once work on it is over."""

from typing import Any

from sqlalchemy import case, exists, func, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.collection.tables import Collection, CollectionState, DocumentIndex, Generation, IndexState, Source

_DEGRADED = "some documents failed"


async def settle(session: AsyncSession, generation: Generation, source_id: str | None, *, error: str, note: str, synced: bool) -> None:
    """Set a collection's state after an operation: ERROR with ``error``, DEGRADED where documents failed, else READY.

    ``note`` is the reason shown where there is no error, ``synced`` whether the source was read to its end. A collection that is
    being deleted stays so.
    """
    failed = exists().where(
        DocumentIndex.collection_id == generation.collection_id,
        DocumentIndex.generation == generation.generation,
        DocumentIndex.state == IndexState.FAILED,
    )
    ended = case(
        (failed, CollectionState.DEGRADED.value),
        (Collection.document_count > 0, CollectionState.READY.value),
        else_=CollectionState.READY.value if synced else CollectionState.PENDING.value,
    )
    reason = error or note or case((failed, _DEGRADED), else_="")
    values: dict[str, Any] = {"state": CollectionState.ERROR if error else ended, "state_reason": reason}
    here = (Collection.id == generation.collection_id, Collection.state != CollectionState.DELETING)
    await session.execute(update(Collection).where(*here).values(**values))
    if source_id is not None and synced:
        await session.execute(update(Source).where(Source.id == source_id).values(last_sync_time=func.clock_timestamp()))
