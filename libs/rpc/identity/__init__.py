"""Users' credentials: verified offline, with the keys and revocations that auth publishes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from libs.rpc.call import Principal
from libs.rpc.errors import token_invalid, unavailable
from libs.rpc.identity.revocations import Pages, Revocation, Revocations
from libs.rpc.identity.tokens import AccessTokens, is_access_token
from libs.telemetry import failures

POLL_SECONDS = 15.0
_FIRST_POLL_SECONDS = 0.25

log = logging.getLogger(__name__)


class Verifier:
    """Returns the principal of a bearer credential, and checks whether a principal still holds.

    ``fetch_keys`` returns a JSON Web Key Set, ``fetch_revocations`` yields pages of every revocation that can still
    matter. ``run`` keeps both fresh; before the first round of both is complete, every credential is UNAVAILABLE.
    """

    def __init__(self, fetch_keys: Callable[[], Awaitable[str]], fetch_revocations: Callable[[], Pages]) -> None:
        self._tokens = AccessTokens(fetch_keys)
        self._revocations = Revocations(fetch_revocations)

    @property
    def is_ready(self) -> bool:
        """Whether keys and revocations were read completely at least once."""
        return self._tokens.has_keys and self._revocations.is_drained

    async def run(self) -> None:
        """Refresh until cancelled; a failed round is logged and counted, and the next one follows."""
        while True:
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next round may succeed
                failures.record(log, "identity_refresh", "cannot read keys and revocations from auth", error)
            await asyncio.sleep(POLL_SECONDS if self.is_ready else _FIRST_POLL_SECONDS)

    async def refresh(self) -> None:
        """Fetch the keys, then every revocation that matters."""
        await self._tokens.refresh()
        await self._revocations.drain()

    async def authenticate(self, credential: str) -> Principal:
        """Return the principal of a bearer credential.

        Raises UNAUTHENTICATED for a credential that is malformed, expired, revoked or of an unknown form, and
        UNAVAILABLE while auth was never reached.
        """
        if not self.is_ready:
            raise unavailable("auth")
        if not is_access_token(credential):
            raise token_invalid()
        principal = await self._tokens.principal(credential)
        await self.still_holds(principal)
        return principal

    async def still_holds(self, principal: Principal) -> None:
        """Raise UNAUTHENTICATED if the principal's user or session was revoked since; open streams ask before each message."""
        if self._revocations.covers(principal):
            raise token_invalid()

    def revoke(self, revocation: Revocation) -> None:
        """Take a revocation into account at once, without waiting for the next round."""
        self._revocations.add(revocation)
