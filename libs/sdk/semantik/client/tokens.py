"""Stores for a session's tokens: in memory, or shared by several processes."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from semantik.auth.v1 import session_pb2


class TokenStore(Protocol):
    """Holds the tokens of one sign-in. A refresh token may be used once, so a process locks the store while it renews them."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Lock the store against other processes during the block; raises TimeoutError."""

    def read(self) -> session_pb2.Tokens | None: ...

    def write(self, tokens: session_pb2.Tokens | None) -> None:
        """Store the tokens, None after signing out; call it only within ``exclusive``."""


class MemoryTokens:
    """The tokens of one client."""

    def __init__(self, tokens: session_pb2.Tokens | None = None) -> None:
        self._tokens = tokens

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        yield

    def read(self) -> session_pb2.Tokens | None:
        return self._tokens

    def write(self, tokens: session_pb2.Tokens | None) -> None:
        self._tokens = tokens


@dataclass(frozen=True)
class Lifetime:
    """When an access token was made and when it ends, in seconds since the epoch by the server's clock."""

    begin: float
    end: float


def user_of(tokens: session_pb2.Tokens) -> str:
    """Return the user id in the access token; empty if it is not a JWT."""
    return str(_claims(tokens).get("sub", ""))


def lifetime_of(tokens: session_pb2.Tokens) -> Lifetime | None:
    """Return the lifetime of the access token; None if it is not a JWT."""
    claims = _claims(tokens)
    try:
        return Lifetime(float(claims["iat"]), float(claims["exp"]))
    except (KeyError, TypeError, ValueError):
        return None


def _claims(tokens: session_pb2.Tokens) -> dict[str, Any]:
    try:
        _, payload, _ = tokens.access_token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
