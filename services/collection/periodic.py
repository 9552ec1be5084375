"""The periodic jobs of collection: what is out of date or has no owner goes, and removals that hang start again."""

from collections.abc import Awaitable, Callable
from functools import partial

import grpc
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.periodic.jobs import HOURLY, Job, every_minutes
from services.collection import garbage, orphans, removals
from services.collection.objects import Objects
from services.collection.starter import Starter
from services.collection.store import expired

_MOST_OBJECTS = 10_000


def jobs(sessions: Sessions, objects: Objects, search: grpc.aio.Channel, starter: Starter) -> list[Job]:
    """Return the jobs; each works in pages, each page in a transaction of its own, and may be repeated at any time."""
    return [
        Job("prune", partial(prune, sessions), HOURLY, timeout_seconds=600),
        Job("trim_embedding_cache", partial(_in_pages, sessions, expired.trim_embedding_cache), every_minutes(15), timeout_seconds=600),
        Job("delete_objects", partial(delete_objects, sessions, objects), every_minutes(5), timeout_seconds=240),
        Job("restart_removals", partial(removals.restart, sessions, starter), every_minutes(10), timeout_seconds=300),
        Job("drop_indexes", partial(orphans.drop, sessions, search), HOURLY, timeout_seconds=600),
    ]


async def prune(sessions: Sessions) -> None:
    """Forget old request ids and the counts of old operations."""
    await _in_pages(sessions, expired.delete_requests)
    await _in_pages(sessions, expired.delete_operation_counts)


async def delete_objects(sessions: Sessions, objects: Objects) -> None:
    await garbage.delete_due(sessions, objects, _MOST_OBJECTS)


async def _in_pages(sessions: Sessions, delete_page: Callable[[AsyncSession], Awaitable[int]]) -> None:
    count = expired.PAGE
    while count == expired.PAGE:
        async with sessions.begin() as session:
            count = await delete_page(session)
