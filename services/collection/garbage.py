"""Objects without an owner: how a new one gets its owner, and how the others are deleted."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from libs.db.engine import Sessions
from libs.telemetry import failures
from services.collection import metrics
from services.collection.objects import Objects
from services.collection.store import objects as store

log = logging.getLogger(__name__)
_ANNOUNCED_SECONDS = 3600.0
_EXPIRED_SECONDS = 60.0  # a write that was cancelled may go on for a moment
_PAGE = 100


@asynccontextmanager
async def stored(sessions: Sessions, objects: Objects, key: str, file: IO[bytes]) -> AsyncIterator[None]:
    """Store a new object that a transaction of the block may give an owner (``store.objects.own``).

    Without one ``delete_due`` deletes it: a minute after the block, or after an hour if this process does not live to see the
    block's end. No transaction is open while bytes travel.
    """
    async with sessions.begin() as session:
        await store.announce(session, key, _ANNOUNCED_SECONDS)
    try:
        try:
            await objects.put(key, file)
        except Exception:
            metrics.object_failures.labels("put").inc()
            raise
        yield
    finally:
        await _expire(sessions, key)


async def _expire(sessions: Sessions, key: str) -> None:
    try:
        async with sessions.begin() as session:
            await store.expire(session, key, _EXPIRED_SECONDS)
    except Exception as error:  # noqa: BLE001 - it expires by itself, an hour later
        failures.record(log, "object_expire", f"cannot give up the object {key} yet", error)


async def delete_due(sessions: Sessions, objects: Objects, limit: int = 1000) -> int:
    """Delete objects without an owner, at most ``limit``; return how many. Any number of callers may do so at once.

    Keys are unique and what is due never finds an owner again, so that nothing needs to be locked meanwhile.
    """
    deleted = 0
    while deleted < limit:
        async with sessions() as session:
            keys = await store.due(session, min(_PAGE, limit - deleted))
        if not keys:
            break
        try:
            await objects.delete(keys)
        except Exception:
            metrics.object_failures.labels("delete").inc()
            raise
        async with sessions.begin() as session:
            await store.forget(session, keys)
        deleted += len(keys)
        metrics.objects_deleted.inc(len(keys))
    return deleted
