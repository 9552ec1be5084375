"""Revocations: what voids a token before its end."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from libs.rpc.call import Principal

# No access token lives longer (auth's settings refuse it), so nothing older can matter.
LONGEST_TOKEN_SECONDS = 24 * 3600
CLOCK_SKEW_SECONDS = 60


@dataclass(frozen=True)
class Revocation:
    """Voids all tokens of a session, or those of a user that were issued before ``not_before`` (Unix seconds)."""

    subject: str
    not_before: float


Pages = AsyncIterator[Sequence[Revocation]]


class Revocations:
    """The revocations in force, read in full by each ``drain``.

    Every drain reads the whole window of time in which a living token can have been issued, not what follows the last
    one seen: transactions commit out of order, and one that was passed over is in the next window too.
    """

    def __init__(self, fetch: Callable[[], Pages]) -> None:
        self._fetch = fetch
        self._not_before: dict[str, float] = {}
        self.is_drained = False

    async def drain(self) -> None:
        """Read all pages; ``is_drained`` holds from the first time that succeeded."""
        async for page in self._fetch():
            for revocation in page:
                self.add(revocation)
        oldest = time.time() - LONGEST_TOKEN_SECONDS - CLOCK_SKEW_SECONDS
        self._not_before = {subject: moment for subject, moment in self._not_before.items() if moment > oldest}
        self.is_drained = True

    def add(self, revocation: Revocation) -> None:
        known = self._not_before.get(revocation.subject, 0.0)
        self._not_before[revocation.subject] = max(known, revocation.not_before)

    def covers(self, principal: Principal) -> bool:
        """Return whether the principal's session has ended, or its credential was issued before its user was revoked.

        A session that has ended never comes back, so the clocks of two replicas of auth do not matter to it.
        """
        return principal.session_id in self._not_before or principal.issue_time < self._not_before.get(principal.user_id, 0.0)
