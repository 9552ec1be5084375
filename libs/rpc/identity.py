"""Verifies users' access tokens offline, against auth's public keys and the list of revocations."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from grpc import StatusCode
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from libs.rpc.call import Principal
from libs.rpc.errors import Failure, unavailable
from semantik.auth.v1 import user_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason

ISSUER = "semantik"
AUDIENCE = "semantik"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - a type, RFC 9068
POLL_SECONDS = 15.0
_LEEWAY_SECONDS = 10
_KEEP_SECONDS = 24 * 3600
_REFETCH_SECONDS = 5.0
_MAX_TOKEN = 4096

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Revocation:
    """Voids tokens of a user or a session that were issued before ``not_before`` (Unix seconds)."""

    seq: int
    subject: str
    not_before: float


def token_invalid() -> Failure:
    return Failure(StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_TOKEN_INVALID, "the access token is not valid")


class Verifier:
    """Decides offline whether an access token holds. ``run`` keeps keys and revocations fresh.

    ``fetch_keys`` returns a JSON Web Key Set, ``fetch_revocations`` those after a sequence number.
    """

    def __init__(self, fetch_keys: Callable[[], Awaitable[str]], fetch_revocations: Callable[[int], Awaitable[list[Revocation]]]) -> None:
        self._fetch_keys = fetch_keys
        self._fetch_revocations = fetch_revocations
        self._keys: KeySet | None = None
        self._key_ids: set[str] = set()
        self._revoked: dict[str, float] = {}
        self._seq = 0
        self._refreshed = float("-inf")
        self._refreshing = asyncio.Lock()

    async def run(self) -> None:
        """Poll for ever; a failed poll is logged and tried again with the next."""
        while True:
            try:
                await self.refresh()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next poll may succeed
                log.warning("cannot refresh keys and revocations: %s", type(error).__name__)
            await asyncio.sleep(POLL_SECONDS if self._keys else 1.0)

    async def refresh(self) -> None:
        """Fetch the keys and what was revoked since the last time."""
        async with self._refreshing:
            keys = await self._fetch_keys()
            self._keys = KeySet.import_key_set(json.loads(keys))
            self._key_ids = {str(key.kid) for key in self._keys}
            for revocation in await self._fetch_revocations(self._seq):
                self._seq = max(self._seq, revocation.seq)
                self._revoked[revocation.subject] = max(self._revoked.get(revocation.subject, 0.0), revocation.not_before)
            oldest = time.time() - _KEEP_SECONDS
            self._revoked = {subject: moment for subject, moment in self._revoked.items() if moment > oldest}
            self._refreshed = time.monotonic()

    async def verify(self, token: str) -> Principal:
        """Return the principal of ``token``; raises a Failure UNAUTHENTICATED, or UNAVAILABLE while auth was never reached."""
        if len(token) > _MAX_TOKEN:
            raise token_invalid()
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError, UnicodeError):
            raise token_invalid() from None
        if header.get("typ") != TOKEN_TYPE or header.get("alg") != "ES256" or header.keys() - {"alg", "typ", "kid"}:
            raise token_invalid()
        if header.get("kid") not in self._key_ids and time.monotonic() - self._refreshed > _REFETCH_SECONDS:
            await self._refresh_or_fail()
        if self._keys is None or header.get("kid") not in self._key_ids:
            raise token_invalid()
        try:
            claims = jwt.decode(token, self._keys, algorithms=["ES256"]).claims
        except (JoseError, ValueError):
            raise token_invalid() from None
        return self._principal(claims)

    async def _refresh_or_fail(self) -> None:
        try:
            await self.refresh()
        except Exception as error:
            log.warning("cannot fetch keys: %s", type(error).__name__)
            if self._keys is None:
                raise unavailable("auth") from error

    def _principal(self, claims: dict[str, object]) -> Principal:
        now = time.time()
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, (int, float)) or not isinstance(expires, (int, float)):
            raise token_invalid()
        ours = claims.get("iss") == ISSUER and claims.get("aud") == AUDIENCE
        if not ours or now >= expires + _LEEWAY_SECONDS or issued > now + _LEEWAY_SECONDS:
            raise token_invalid()
        role = str(claims.get("role"))
        if f"ROLE_{role}" not in user_pb2.User.Role.keys():  # noqa: SIM118 - an enum wrapper, not a dict
            raise token_invalid()
        found = Principal(
            user_id=str(claims.get("sub")),
            role=user_pb2.User.Role.Value(f"ROLE_{role}"),
            session_id=str(claims.get("sid")),
            issue_time=float(issued),
        )
        self.recheck(found)
        return found

    def recheck(self, principal: Principal) -> None:
        """Raise UNAUTHENTICATED if the principal's user or session was revoked since; open streams ask each minute."""
        for subject in (principal.user_id, principal.session_id):
            if principal.issue_time < self._revoked.get(subject, 0.0):
                raise token_invalid()

    def revoke(self, revocation: Revocation) -> None:
        """Take a revocation into account at once, without waiting for the next poll."""
        self._revoked[revocation.subject] = max(self._revoked.get(revocation.subject, 0.0), revocation.not_before)
