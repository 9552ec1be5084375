"""Where a session's tokens are kept: in memory, or wherever several processes share one sign-in."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from semantik.auth.v1 import session_pb2


class TokenStore(Protocol):
    """Keeps the tokens of one sign-in. A refresh token is good for one use, so whoever renews holds the store while it does."""

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Keep others from changing the tokens during the block; raises TimeoutError."""

    def read(self) -> session_pb2.Tokens | None: ...

    def write(self, tokens: session_pb2.Tokens | None) -> None:
        """Keep the tokens, None after signing out; only within ``exclusive``."""


class MemoryTokens:
    """The tokens of one client, gone with it."""

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
    """Return the id of the user whom the access token names; empty where it is no JWT."""
    try:
        _, payload, _ = tokens.access_token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["sub"])
    except (ValueError, KeyError, TypeError):
        return ""
