"""Adds the access token to calls and renews it before it expires."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from semantik.auth.v1 import auth_service_pb2, auth_service_pb2_grpc, session_pb2
from semantik.client.errors import SemantikError, translated
from semantik.client.tokens import TokenStore, lifetime_of, user_of

DEFAULT_SECONDS = 30.0
_RENEW_SECONDS = 60.0
_T = TypeVar("_T")


class Session:
    """The tokens of one sign-in on one channel. ``store`` holds them and may be shared with other processes."""

    def __init__(self, channel: grpc.aio.Channel, store: TokenStore) -> None:
        self.channel = channel
        self.tokens = store.read()
        self._store = store
        self._auth = auth_service_pb2_grpc.AuthServiceStub(channel)
        self._renewing = asyncio.Lock()
        # How far the server's clock is ahead of this one.
        self._clock_ahead = 0.0

    async def keep(self, tokens: session_pb2.Tokens | None) -> None:
        """Store and use these tokens; None after signing out."""
        async with self._exclusive():
            self._store.write(tokens)
        self.tokens = tokens
        if tokens is not None:
            self._note_clock(tokens)

    async def call(
        self,
        method: Callable[..., Awaitable[_T]],
        request: Any,
        timeout: float = DEFAULT_SECONDS,  # noqa: ASYNC109 - gRPC's own word
        *,
        signed: bool = True,
    ) -> _T:
        """Call a unary or client-streaming method, with the access token if ``signed``; raises SemantikError.

        A call whose token is refused has done nothing: it is repeated once with other tokens, unless its request is a stream.
        """
        metadata = await self.metadata() if signed else _correlation()
        tokens = self.tokens
        try:
            return await method(request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            refusal = translated(error)
            if not signed or not await self._recovered(refusal, tokens) or not isinstance(request, Message):
                raise refusal from error
        try:
            return await method(request, timeout=timeout, metadata=await self.metadata())
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error

    async def stream(self, method: Callable[..., Any], request: Any, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ASYNC109 - gRPC's own word
        """Yield a server stream; raises SemantikError. The call is cancelled when the iterator is closed.

        A stream whose token is refused before its first message is opened once more with other tokens. After that it raises, and other
        tokens are there for the next one.
        """
        for is_last in (False, True):
            metadata = await self.metadata()
            tokens, has_begun = self.tokens, False
            call = method(request, timeout=timeout, metadata=metadata)
            try:
                async for message in call:
                    has_begun = True
                    yield message
            except grpc.aio.AioRpcError as error:
                refusal = translated(error)
                if is_last or not await self._recovered(refusal, tokens) or has_begun:
                    raise refusal from error
            else:
                return
            finally:
                call.cancel()

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of the next call, with an access token that is valid for another while."""
        if self.tokens is None:
            return _correlation()
        if not self._is_fresh(self.tokens):
            async with self._renewing:
                if self.tokens is not None and not self._is_fresh(self.tokens):
                    await self._renew(self.tokens)
        if self.tokens is None:
            return _correlation()
        return (*_correlation(), ("authorization", f"Bearer {self.tokens.access_token}"))

    async def _renew(self, tokens: session_pb2.Tokens) -> None:
        """Use the tokens that another process has renewed, or renew them; raises SemantikError."""
        async with self._exclusive():
            latest = self._latest(tokens)
            self.tokens = latest if self._is_fresh(latest) else await self._refreshed(latest)

    async def _recovered(self, refusal: SemantikError, tokens: session_pb2.Tokens | None) -> bool:
        """Return whether there are other tokens than those that were refused: stored by another process, or renewed now."""
        if refusal.reason != "TOKEN_INVALID" or tokens is None:
            return False
        async with self._renewing:
            if self.tokens != tokens:
                return self.tokens is not None
            async with self._exclusive():
                latest = self._latest(tokens)
                try:
                    self.tokens = latest if latest != tokens and self._is_fresh(latest) else await self._refreshed(latest)
                except SemantikError as error:
                    if error.reason != "REFRESH_TOKEN_INVALID":
                        raise
                    return False
        return True

    @asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[None]:
        try:
            async with self._store.exclusive():
                yield
        except TimeoutError:
            message = "another process is renewing the sign-in and does not end; try again"
            raise SemantikError("DEADLINE_EXCEEDED", "", message) from None

    async def _refreshed(self, tokens: session_pb2.Tokens) -> session_pb2.Tokens:
        try:
            return await self._refresh(tokens)
        except SemantikError as error:
            # The user may have signed in again, or a store without locks let another process renew first.
            latest = self._latest(tokens)
            if error.reason != "REFRESH_TOKEN_INVALID" or latest == tokens:
                raise
            return latest if self._is_fresh(latest) else await self._refresh(latest)

    async def _refresh(self, tokens: session_pb2.Tokens) -> session_pb2.Tokens:
        request = auth_service_pb2.RefreshTokenRequest(refresh_token=tokens.refresh_token)
        try:
            answer = await self._auth.RefreshToken(request, timeout=DEFAULT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error
        self._note_clock(answer.tokens)
        if self._store.read() == tokens:  # it may hold another sign-in by now, or none
            self._store.write(answer.tokens)
        return answer.tokens

    def _latest(self, tokens: session_pb2.Tokens) -> session_pb2.Tokens:
        """Return the stored tokens where they are the same user's, else ``tokens``."""
        stored = self._store.read()
        return stored if stored is not None and user_of(stored) == user_of(tokens) else tokens

    def _is_fresh(self, tokens: session_pb2.Tokens) -> bool:
        """Return whether the access token holds for another minute, or for a quarter of its life where that is less."""
        life = lifetime_of(tokens)
        margin = _RENEW_SECONDS if life is None else min(_RENEW_SECONDS, (life.end - life.begin) / 4)
        return tokens.access_expire_time.seconds - time.time() - self._clock_ahead >= margin

    def _note_clock(self, tokens: session_pb2.Tokens) -> None:
        """Compare clocks with the server, which has made these tokens now."""
        life = lifetime_of(tokens)
        self._clock_ahead = 0.0 if life is None else life.begin - time.time()


def _correlation() -> tuple[tuple[str, str], ...]:
    return (("x-correlation-id", uuid.uuid4().hex),)
