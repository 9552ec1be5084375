"""The periodic job of auth: it removes expired sessions, revocations, audit entries, attempts and sign-in codes."""

from functools import partial

from prometheus_client import Counter

from libs.db.engine import Sessions
from libs.periodic.jobs import HOURLY, Job
from services.auth.store import expired

_PRUNED = {
    "refresh_tokens": expired.delete_tokens,
    "revocations": expired.delete_revocations,
    "auth_audit_log": expired.delete_audit_entries,
    "attempts": expired.delete_attempts,
    "sign_in_codes": expired.delete_codes,
}
_removed = Counter("semantik_auth_expired_rows_removed_total", "Expired rows removed, by table.", ("table",))


def jobs(sessions: Sessions) -> list[Job]:
    return [Job("prune", partial(prune, sessions), HOURLY, timeout_seconds=600)]


async def prune(sessions: Sessions) -> None:
    """Remove what has expired, each page in a transaction of its own."""
    for table, delete_page in _PRUNED.items():
        count = expired.PAGE
        while count == expired.PAGE:
            async with sessions.begin() as session:
                count = await delete_page(session)
            _removed.labels(table).inc(count)
