"""What stands between the wire and a servicer: interceptors around every handler of our services."""

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

import grpc

from libs.rpc.errors import message_missing
from libs.rpc.validation import readable

Context = Any  # grpc.aio.ServicerContext, which is generic in its stubs only
Unary = Callable[[Any, Context], Awaitable[Any]]
Stream = Callable[[Any, Context], AsyncIterator[Any]]


class Access(enum.Enum):
    """Who may call a service."""

    ANYONE = enum.auto()
    SIGNED_IN = enum.auto()  # GUEST included
    MEMBER = enum.auto()  # signed in, not GUEST
    MESH = enum.auto()


class Interceptor(Protocol):
    """One concern of every RPC: ``unary`` wraps what answers once, ``stream`` what answers many times.

    The request is a message, or an iterator over the messages of a client's stream.
    """

    def unary(self, method: str, behavior: Unary) -> Unary: ...

    def stream(self, method: str, behavior: Stream) -> Stream: ...


class _Kind(NamedTuple):
    attribute: str
    handler: Callable[..., Any]


# By (the request is a stream, the response is a stream).
_KINDS = {
    (False, False): _Kind("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): _Kind("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): _Kind("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): _Kind("stream_stream", grpc.stream_stream_rpc_method_handler),
}


class Boundary(grpc.aio.ServerInterceptor):
    """Applies interceptors, the first one outermost, to all methods of ``services``; other services stay as they are.

    A request is read between ``unread`` and ``read``: who may not call, or has to wait, holds no more of this process's memory than
    the window of a stream. (On the wire a single message is a stream of one.)
    A handler is wrapped at its first call and kept, so that a call costs what the interceptors do and no more.
    """

    def __init__(self, services: Collection[str], unread: Sequence[Interceptor], read: Sequence[Interceptor]) -> None:
        self._services = frozenset(services)
        self._unread = tuple(reversed(unread))
        self._read = tuple(reversed(read))
        self._handlers: dict[str, Any] = {}

    async def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        known = self._handlers.get(details.method)
        if known is not None:
            return known
        handler = await continuation(details)
        if handler is None or details.method.rpartition("/")[0].removeprefix("/") not in self._services:
            return handler
        wrapped = self._handlers[details.method] = self._wrap(details.method, handler)
        return wrapped

    def _wrap(self, method: str, handler: Any) -> Any:
        is_stream = bool(handler.response_streaming)
        behavior = getattr(handler, _KINDS[handler.request_streaming, is_stream].attribute)
        behavior = _wrapped(self._read, method, behavior, is_stream=is_stream)
        if not handler.request_streaming:
            behavior = _reading_stream(behavior) if is_stream else _reading(behavior)
        behavior = _wrapped(self._unread, method, behavior, is_stream=is_stream)
        return _KINDS[True, is_stream].handler(behavior, readable(handler.request_deserializer), handler.response_serializer)


def _wrapped(interceptors: Sequence[Interceptor], method: str, behavior: Any, *, is_stream: bool) -> Any:
    for interceptor in interceptors:
        behavior = (interceptor.stream if is_stream else interceptor.unary)(method, behavior)
    return behavior


def _reading(behavior: Unary) -> Unary:
    async def after_reading(_unread: Any, context: Context) -> Any:
        return await behavior(await _message(context), context)

    return after_reading


def _reading_stream(behavior: Stream) -> Stream:
    async def after_reading(_unread: Any, context: Context) -> AsyncIterator[Any]:
        async with aclosing(behavior(await _message(context), context)) as responses:  # type: ignore[type-var]
            async for response in responses:
                yield response

    return after_reading


async def _message(context: Context) -> Any:
    message = await context.read()
    if message is grpc.aio.EOF:
        raise message_missing()
    return message
