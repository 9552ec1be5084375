"""Revocations that can still void a living access token, and auth's own reading of them."""

from datetime import datetime, timedelta

from libs.db.engine import Sessions
from libs.db.tables import now
from libs.rpc.identity import Verifier
from libs.rpc.identity.revocations import CLOCK_SKEW_SECONDS, Pages, Revocation
from services.auth.keys import SigningKeys
from services.auth.store import sessions

_PAGE = 1000


def oldest_of_interest(access_seconds: int) -> datetime:
    """Return the moment at which the oldest living access token can have been issued."""
    return now() - timedelta(seconds=access_seconds + CLOCK_SKEW_SECONDS)


def verifier(keys: SigningKeys, database: Sessions, access_seconds: int) -> Verifier:
    """Return auth's own verifier, which reads what the others ask auth for."""

    async def jwks() -> str:
        return keys.jwks

    async def revocations() -> Pages:
        since = oldest_of_interest(access_seconds)
        after: tuple[datetime, int] | None = None
        while True:
            async with database() as session:
                rows = await sessions.revocations_since(session, since, _PAGE, after)
            yield [Revocation(row.user_id or row.session_id or "", row.not_before.timestamp()) for row in rows]
            if len(rows) < _PAGE:
                return
            after = rows[-1].not_before, rows[-1].seq

    return Verifier(jwks, revocations)
