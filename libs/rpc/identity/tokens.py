"""Access tokens (JWT, ES256, RFC 9068): verified once against auth's public keys, then remembered."""

import asyncio
import hashlib
import json
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from libs.rpc.call import Principal
from libs.rpc.errors import token_invalid, unavailable
from libs.telemetry import failures
from semantik.auth.v1 import user_pb2

ISSUER = "semantik"
AUDIENCE = "semantik"
TOKEN_TYPE = "at+jwt"  # noqa: S105 - a type, RFC 9068
_LEEWAY_SECONDS = 10
_REFETCH_SECONDS = 5.0
_MAX_LENGTH = 4096
_MAX_REMEMBERED = 10_000
# What parsing untrusted bytes can raise; a deeply nested JSON array ends in RecursionError.
_MALFORMED = (JoseError, ValueError, TypeError, KeyError, RecursionError)

log = logging.getLogger(__name__)


def is_access_token(credential: str) -> bool:
    """Return whether a credential has the form of an access token: three parts joined by dots."""
    return credential.count(".") == 2


class AccessTokens:
    """Verifies access tokens with the keys of ``fetch_keys`` (a JSON Web Key Set).

    A signature is verified once: the token's SHA-256 leads to its principal until the token ends or the keys change.
    The caller asks each time whether the principal was revoked.
    """

    def __init__(self, fetch_keys: Callable[[], Awaitable[str]]) -> None:
        self._fetch_keys = fetch_keys
        self._published = ""
        self._keys: KeySet | None = None
        self._key_ids: frozenset[str] = frozenset()
        self._verified: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        self._refetch: asyncio.Task[None] | None = None
        self._refetch_at = float("-inf")

    @property
    def has_keys(self) -> bool:
        return self._keys is not None

    async def refresh(self) -> None:
        """Fetch the keys; where they changed, everything verified with the old ones is verified again."""
        published = await self._fetch_keys()
        if published != self._published:
            self._keys = KeySet.import_key_set(json.loads(published))
            self._key_ids = frozenset(str(key.kid) for key in self._keys)
            self._verified.clear()
            self._published = published

    async def principal(self, token: str) -> Principal:
        """Return the principal of ``token``; raises UNAUTHENTICATED, or UNAVAILABLE if its key cannot be looked up."""
        if len(token) > _MAX_LENGTH:
            raise token_invalid()
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        remembered = self._verified.get(digest)
        if remembered is not None:
            principal, end = remembered
            if time.time() >= end:
                del self._verified[digest]
                raise token_invalid()
            self._verified.move_to_end(digest)
            return principal
        principal, end = _principal(await self._claims(token))
        self._verified[digest] = principal, end
        if len(self._verified) > _MAX_REMEMBERED:
            self._verified.popitem(last=False)
        return principal

    async def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            header = jws.extract_compact(token.encode()).headers()
        except _MALFORMED:
            raise token_invalid() from None
        key_id = header.get("kid")
        if header.get("typ") != TOKEN_TYPE or header.get("alg") != "ES256" or header.keys() - {"alg", "typ", "kid"}:
            raise token_invalid()
        if not isinstance(key_id, str):
            raise token_invalid()
        if key_id not in self._key_ids:
            await self._look_again()
        if self._keys is None or key_id not in self._key_ids:
            raise token_invalid()
        try:
            return jwt.decode(token, self._keys, algorithms=["ES256"]).claims
        except _MALFORMED:
            raise token_invalid() from None

    async def _look_again(self) -> None:
        """Fetch the keys because of an unknown key id: at most once in 5 s, and once for all callers that wait."""
        now = time.monotonic()
        if self._refetch is None or (self._refetch.done() and now - self._refetch_at > _REFETCH_SECONDS):
            self._refetch_at = now
            self._refetch = asyncio.create_task(self.refresh())
        await asyncio.wait({self._refetch})
        error = self._refetch.exception()
        if error is not None:
            failures.record(log, "identity_keys", "cannot read the keys of access tokens from auth", error)
            raise unavailable("auth") from error


def _principal(claims: Mapping[str, Any]) -> tuple[Principal, float]:
    """Return the principal of verified claims and the end of its token; raises UNAUTHENTICATED for claims that auth never signs."""
    now = time.time()
    issued, end = _moment(claims.get("iat")), _moment(claims.get("exp"))
    begin = max(issued, _moment(claims.get("nbf", issued)))
    role, subject, session = f"ROLE_{claims.get('role')}", claims.get("sub"), claims.get("sid")
    ours = claims.get("iss") == ISSUER and claims.get("aud") == AUDIENCE
    known = role in user_pb2.User.Role.keys() and isinstance(subject, str) and isinstance(session, str)  # noqa: SIM118 - an enum wrapper
    if not (ours and known and begin <= now + _LEEWAY_SECONDS and now < end + _LEEWAY_SECONDS):
        raise token_invalid()
    principal = Principal(user_id=str(subject), role=user_pb2.User.Role.Value(role), session_id=str(session), issue_time=issued)
    return principal, end + _LEEWAY_SECONDS


def _moment(value: object) -> float:
    """Return a claim in Unix seconds; raises UNAUTHENTICATED for what is not a finite number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            moment = float(value)
        except OverflowError:
            raise token_invalid() from None
        if math.isfinite(moment):
            return moment
    raise token_invalid()
