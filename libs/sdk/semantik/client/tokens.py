"""Stores for a session's tokens: in memory, or shared by several processes."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

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


def user_of(tokens: session_pb2.Tokens) -> str:
    """Return the user id in the access token; empty if it is not a JWT."""
    try:
        _, payload, _ = tokens.access_token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"])
    except (ValueError, KeyError, TypeError):
        return ""
