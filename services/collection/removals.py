"""Starts removals again that hang: their operation failed for good, or a mistake lost it."""

import logging
import time

from libs.db.engine import Sessions
from libs.rpc.call import Principal
from libs.telemetry import failures
from semantik.auth.v1.user_pb2 import User
from semantik.operation.v1 import operation_pb2
from services.collection import metrics
from services.collection.starter import Kind, Starter, Work, work
from services.collection.store import collections, documents, sources

log = logging.getLogger(__name__)
State = operation_pb2.Operation.State
_ENDED = (State.STATE_SUCCEEDED, State.STATE_FAILED, State.STATE_CANCELLED)
_HANGING_SECONDS = 600.0
_MOST = 1000


async def restart(sessions: Sessions, starter: Starter) -> None:
    """Start the removal of what should be gone by now, unless it is at work; at most one try an hour for each.

    The owner of the collection is who asks. What goes on already is asked for by the same id, which changes nothing.
    """
    for asked in await _hanging(sessions):
        try:
            if (await _started(sessions, starter, asked[0])).state in _ENDED and len(asked) > 1:
                await _started(sessions, starter, asked[1])
        except Exception as error:  # noqa: BLE001 - one that is refused does not hold up the others
            failures.record(log, "restart_removal", f"cannot start operation {asked[0].operation_id} again", error)


async def _hanging(sessions: Sessions) -> list[list[Work]]:
    """Return for each removal the work to ask for: as it was asked for first, then as it is asked for in this hour."""
    hour = time.strftime("%Y%m%d%H", time.gmtime())
    found: list[list[Work]] = []
    async with sessions() as session:
        for row in await collections.hanging_deletions(session, _HANGING_SECONDS, _MOST):
            ids = (f"delete:{row.id}", f"delete:{row.id}:{hour}")
            found.append([work(_owner(row.owner_id), Kind.KIND_DELETE, row.id, own_id=own_id) for own_id in ids])
        for row in await sources.hanging_removals(session, _HANGING_SECONDS, _MOST):
            ids = (f"remove:{row.id}", f"remove:{row.id}:{hour}")
            owner, kind = _owner(row.owner_id), Kind.KIND_REMOVE_SOURCE
            found.append([work(owner, kind, row.collection_id, own_id=own_id, source_id=row.id) for own_id in ids])
        purges = await documents.hanging_purges(session, _HANGING_SECONDS, _MOST)
        found += [[work(_owner(row.owner_id), Kind.KIND_PURGE, row.id, own_id=f"purge:{row.id}:{hour}")] for row in purges]
    return found


def _owner(user_id: str) -> Principal:
    return Principal(user_id, User.ROLE_USER)


async def _started(sessions: Sessions, starter: Starter, asked: Work) -> operation_pb2.Operation:
    request = asked.request
    async with sessions.begin() as session:
        first = await starter.record(session, asked, request.source_id or request.collection_id, "delete")
    if first is None:
        metrics.restarts.labels(Kind.Name(request.kind).removeprefix("KIND_")).inc()
    return await starter.send(asked)
