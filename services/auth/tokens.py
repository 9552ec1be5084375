"""Access and refresh tokens: how they are issued."""

import hashlib
import hmac
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from joserfc import jwt

from libs.rpc.identity.tokens import AUDIENCE, ISSUER, TOKEN_TYPE
from libs.rpc.mesh import MeshIdentity
from services.auth.keys import SigningKeys

_PREFIX = "smr_"
_CODE_PREFIX = "smc_"


@dataclass(frozen=True)
class AccessToken:
    value: str
    expire_time: datetime


class Tokens:
    """Issues access tokens (JWT, ES256) and refresh tokens (opaque).

    The successor of a refresh token is HMAC(key, token): two refreshes at once get the same one, and nothing that is
    stored leads to it.
    """

    def __init__(self, keys: SigningKeys, mesh: MeshIdentity, access_seconds: int) -> None:
        self._keys = keys
        self._refresh_key = mesh.derive("refresh tokens")
        self._name_key = mesh.derive("unknown names")
        self._access = timedelta(seconds=access_seconds)

    def access(self, user_id: str, role: str, session_id: str) -> AccessToken:
        issued = round(time.time(), 3)
        expires = int(issued + self._access.total_seconds())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "sid": session_id,
            "role": role,
            "iat": issued,
            "exp": expires,
            "jti": uuid.uuid4().hex,
        }
        header = {"alg": "ES256", "typ": TOKEN_TYPE, "kid": str(self._keys.current.kid)}
        value = jwt.encode(header, claims, self._keys.current, algorithms=["ES256"])
        return AccessToken(value, datetime.fromtimestamp(expires, UTC))

    def first_refresh(self) -> str:
        return _PREFIX + secrets.token_urlsafe(32)

    def next_refresh(self, token: str) -> str:
        return _PREFIX + hmac.digest(self._refresh_key, token.encode(), "sha256").hex()

    def code(self) -> str:
        """Return a new sign-in code."""
        return _CODE_PREFIX + secrets.token_urlsafe(32)

    def pseudonym(self, name: str) -> str:
        """Return what stands for a name that was typed: people type passwords into the wrong field, so it is not stored itself."""
        return "unknown:" + hmac.digest(self._name_key, name.encode(), "sha256").hex()[:32]


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
