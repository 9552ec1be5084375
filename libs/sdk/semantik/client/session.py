"""Signs calls with the access token, and renews it before it ends."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc

from semantik.auth.v1 import auth_service_pb2, auth_service_pb2_grpc, session_pb2
from semantik.client.errors import translated

DEFAULT_SECONDS = 30.0
_RENEW_SECONDS = 60.0
_T = TypeVar("_T")


class Session:
    """The tokens of one sign-in over one channel; ``on_change`` is told of new tokens, None after logout."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        tokens: session_pb2.Tokens | None,
        on_change: Callable[[session_pb2.Tokens | None], None] = lambda _: None,
    ) -> None:
        self.channel = channel
        self.tokens = tokens
        self._on_change = on_change
        self._auth = auth_service_pb2_grpc.AuthServiceStub(channel)
        self._renewing = asyncio.Lock()

    def keep(self, tokens: session_pb2.Tokens | None) -> None:
        """Use these tokens from now on."""
        self.tokens = tokens
        self._on_change(tokens)

    async def call(self, method: Callable[..., Awaitable[_T]], request: Any, timeout: float = DEFAULT_SECONDS) -> _T:  # noqa: ASYNC109 - gRPC's own word
        """Call a unary (or client-streaming) method; raises SemantikError."""
        try:
            return await method(request, timeout=timeout, metadata=await self.metadata())
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error

    async def stream(self, method: Callable[..., Any], request: Any, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ASYNC109 - gRPC's own word
        """Yield a server stream; raises SemantikError. The call is cancelled when the iterator is closed."""
        call = method(request, timeout=timeout, metadata=await self.metadata())
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise translated(error) from error
        finally:
            call.cancel()

    async def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the headers of the next call, with a token that still lives a while."""
        correlation = ("x-correlation-id", uuid.uuid4().hex)
        if self.tokens is None:
            return (correlation,)
        if self.tokens.access_expire_time.seconds - time.time() < _RENEW_SECONDS:
            await self._renew()
        return (correlation, ("authorization", f"Bearer {self.tokens.access_token}"))

    async def _renew(self) -> None:
        stale = self.tokens
        async with self._renewing:
            if self.tokens is not stale or stale is None:
                return
            request = auth_service_pb2.RefreshTokenRequest(refresh_token=stale.refresh_token)
            try:
                answer = await self._auth.RefreshToken(request, timeout=DEFAULT_SECONDS)
            except grpc.aio.AioRpcError as error:
                raise translated(error) from error
            self.keep(answer.tokens)
