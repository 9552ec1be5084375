"""What users asked lately: noted in memory, written every few seconds, lost with the process or while the database is away."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from libs.db.engine import Sessions
from libs.db.tables import now
from libs.rpc.call import Principal
from libs.telemetry import failures
from services.search import metrics
from services.search.store import recent_queries

log = logging.getLogger(__name__)
_MOST_CHARACTERS = 256
_CAPACITY = 10_000
_FLUSH_SECONDS = 3.0
_READ_SECONDS = 0.5
_HALF_LIFE = timedelta(days=7)


class RecentQueries:
    """``reads`` are for single reads; a restricted API key reaches grants to itself alone, so that it neither notes nor sees queries."""

    def __init__(self, sessions: Sessions, reads: Sessions, clock: Callable[[], datetime] = now) -> None:
        self._sessions = sessions
        self._reads = reads
        self._clock = clock
        self._asked: dict[tuple[str, str], tuple[int, datetime]] = {}
        self._writing = asyncio.Lock()

    def note(self, principal: Principal, query: str) -> None:
        """Remember a query, without the blanks around and between its words; one of more than 256 characters, or with a NUL, is not."""
        text = _normal(query)
        if principal.restricted or len(text) > _MOST_CHARACTERS or "\0" in text:
            return
        key = principal.user_id, text
        if key not in self._asked and len(self._asked) >= _CAPACITY:
            metrics.recent_queries.labels("lost").inc()
            return
        count, _ = self._asked.get(key, (0, None))
        self._asked[key] = count + 1, self._clock()

    async def of(self, principal: Principal) -> list[str]:
        """Return the caller's own queries, those first that were asked often and lately: a use counts half after a week.

        While the database is away they are those that wait for it.
        """
        if principal.restricted:
            return []
        asked = {text: noted for (user_id, text), noted in self._asked.items() if user_id == principal.user_id}
        try:
            async with asyncio.timeout(_READ_SECONDS), self._reads() as session:
                rows = await recent_queries.of_user(session, principal.user_id)
        except (SQLAlchemyError, TimeoutError) as error:
            metrics.recent_queries.labels("unread").inc()
            failures.record(log, "recent_queries", "cannot read recent queries", error)
            rows = []
        for text, count, last_time in rows:
            more, later = asked.get(text, (0, last_time))
            asked[text] = count + more, max(last_time, later)
        present = self._clock()
        return sorted(asked, key=lambda text: (-_weight(*asked[text], present), text))

    async def forget(self, user_id: str, text: str = "") -> None:
        """Delete one of a user's queries, or all where no text is given; raises what the database does."""
        if text and not (text := _normal(text)):
            return  # no query is blank
        async with self._writing:
            for key in [key for key in self._asked if key[0] == user_id and text in ("", key[1])]:
                del self._asked[key]
            async with self._sessions.begin() as session:
                await recent_queries.remove(session, user_id, text)

    async def run(self) -> None:
        """Write what was noted every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what was noted; what the database does not take is lost, and counted."""
        async with self._writing:
            asked, self._asked = self._asked, {}
            if not asked:
                return
            try:
                async with self._sessions.begin() as session:
                    await recent_queries.note(session, asked)
            except SQLAlchemyError as error:
                metrics.recent_queries.labels("lost").inc(len(asked))
                failures.record(log, "recent_queries", f"cannot write {len(asked)} recent queries", error)
            else:
                metrics.recent_queries.labels("written").inc(len(asked))


def _normal(query: str) -> str:
    return " ".join(query.split())


def _weight(count: int, last_time: datetime, present: datetime) -> float:
    return float(count * 0.5 ** ((present - last_time) / _HALF_LIFE))
