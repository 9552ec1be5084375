"""Turns what drivers and peers raise into failures a client can be told."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import grpc

from libs.rpc.boundary import Context, Stream, Unary
from libs.rpc.errors import Failure, deadline_exceeded, from_peer


class Translate:
    """The innermost interceptor: ``translate`` returns the Failure that a driver's error means, or None.

    An error without a translation passes unchanged: it is a defect, and the call ends INTERNAL.
    """

    def __init__(self, translate: Callable[[Exception], Failure | None] = lambda _: None) -> None:
        self._translate = translate

    def unary(self, method: str, behavior: Unary) -> Unary:
        async def translated(request: Any, context: Context) -> Any:
            try:
                return await behavior(request, context)
            except Failure:
                raise
            except Exception as error:
                failure = self._failure(error)
                if failure is None:
                    raise
                raise failure from error

        return translated

    def stream(self, method: str, behavior: Stream) -> Stream:
        async def translated(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                async with aclosing(behavior(request, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
            except Failure:
                raise
            except Exception as error:
                failure = self._failure(error)
                if failure is None:
                    raise
                raise failure from error

        return translated

    def _failure(self, error: Exception) -> Failure | None:
        if isinstance(error, grpc.aio.AioRpcError):
            return from_peer(error)
        if isinstance(error, TimeoutError):
            return deadline_exceeded()
        return self._translate(error)
