"""Refuses requests that break the contract's rules."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.protobuf.message import Message

from libs.rpc.boundary import Context, Stream, Unary
from libs.rpc.errors import Failure
from libs.rpc.validation import Unreadable, check, has_nul, with_nul_named


class Validate:
    """Checks the request; a stream's messages one by one, as they arrive."""

    def unary(self, method: str, behavior: Unary) -> Unary:
        async def validated(request: Any, context: Context) -> Any:
            incoming = _Incoming(request)
            try:
                return await behavior(incoming.checked(), context)
            except Failure as failure:
                raise with_nul_named(failure, incoming.messages) from failure.__cause__

        return validated

    def stream(self, method: str, behavior: Stream) -> Stream:
        async def validated(request: Any, context: Context) -> AsyncIterator[Any]:
            incoming = _Incoming(request)
            try:
                async with aclosing(behavior(incoming.checked(), context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
            except Failure as failure:
                raise with_nul_named(failure, incoming.messages) from failure.__cause__

        return validated


class _Incoming:
    """The request of a call; ``messages`` are the checked ones that may hold a NUL."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self.messages: list[Message] = []

    def checked(self) -> Any:
        """Return the message, or an iterator over a stream's messages, all of them checked."""
        if isinstance(self._request, (Message, Unreadable)):
            self.messages = [check(self._request)]
            return self._request
        return self._each()

    async def _each(self) -> AsyncIterator[Message]:
        async for message in self._request:
            if has_nul(check(message)):
                self.messages.append(message)
            yield message
