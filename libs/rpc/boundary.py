"""Every request is identified and validated on the way in; every failure is a status on the way out."""

import asyncio
import enum
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
from grpc import StatusCode

from libs.rpc import call
from libs.rpc.errors import Failure, from_peer
from libs.rpc.identity import Verifier, token_invalid
from libs.rpc.mesh import MeshIdentity
from libs.rpc.validation import Incoming, readable
from libs.telemetry import logs, metrics, traces
from semantik.auth.v1 import user_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)
_BEARER = "bearer "
_MAX_DEADLINE_SECONDS = 24 * 3600.0
Context = Any  # grpc.aio.ServicerContext, which is generic in its stubs only


class Access(enum.Enum):
    """Who may call a service."""

    ANYONE = enum.auto()
    SIGNED_IN = enum.auto()  # GUEST included
    MEMBER = enum.auto()  # signed in, not GUEST
    MESH = enum.auto()


class Boundary(grpc.aio.ServerInterceptor):
    """Wraps the handlers of all four kinds of RPC.

    ``access`` says who may call each service by full name; one that is not listed is open (health, reflection).
    ``translate`` turns a driver's error into a Failure, or returns None.
    """

    def __init__(
        self,
        access: Mapping[str, Access],
        mesh: MeshIdentity,
        verifier: Verifier,
        translate: Callable[[Exception], Failure | None] = lambda _: None,
    ) -> None:
        self._access = access
        self._mesh = mesh
        self._verifier = verifier
        self._translate = translate

    async def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        handler = await continuation(details)
        service = details.method.rpartition("/")[0].removeprefix("/")
        if handler is None or service not in self._access:
            return handler
        codec = readable(handler.request_deserializer), handler.response_serializer
        access = self._access[service]
        shape = ("stream" if handler.request_streaming else "unary") + "_" + ("stream" if handler.response_streaming else "unary")
        behavior = getattr(handler, shape)
        wrap = self._streaming if handler.response_streaming else self._single
        factory = getattr(grpc, f"{shape}_rpc_method_handler")
        return factory(wrap(details.method, access, behavior), *codec)

    def _single(self, method: str, access: Access, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> Any:
            incoming = Incoming(request)
            with _observed(method, context) as outcome:
                try:
                    await self._identify(access, context)
                    return await behavior(incoming.checked(), context)
                except Exception as error:  # noqa: BLE001 - the last line before the wire
                    await self._abort(error, incoming, context, outcome)

        return call

    def _streaming(self, method: str, access: Access, behavior: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            incoming = Incoming(request)
            with _observed(method, context) as outcome:
                try:
                    await self._identify(access, context)
                    async for response in behavior(incoming.checked(), context):
                        yield response
                except Exception as error:  # noqa: BLE001 - the last line before the wire
                    await self._abort(error, incoming, context, outcome)

        return call

    async def _identify(self, access: Access, context: Context) -> None:
        if access is Access.ANYONE:
            return
        authorization = _metadata(context).get("authorization", "")
        if access is Access.MESH:
            peer = self._mesh.verify(authorization[len(_BEARER) :]) if authorization.lower().startswith(_BEARER) else None
            if peer is None:
                raise token_invalid()
            call.amend(peer=peer)
            return
        if not authorization:
            raise Failure(
                StatusCode.UNAUTHENTICATED,
                ErrorReason.ERROR_REASON_CREDENTIALS_MISSING,
                "sign in first: send `authorization: Bearer <access token>`",
            )
        if not authorization.lower().startswith(_BEARER):
            raise token_invalid()
        principal = await self._verifier.verify(authorization[len(_BEARER) :])
        if access is Access.MEMBER and principal.role == user_pb2.User.ROLE_GUEST:
            raise role_required("USER")
        call.amend(principal=principal)

    async def _abort(self, error: Exception, incoming: Incoming, context: Context, outcome: "_Outcome") -> None:
        failure = self._failure(error)
        if failure is None:
            outcome.code = StatusCode.INTERNAL
            log.error("unhandled error in %s", call.current().method, exc_info=error)
            failure = Failure(StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL, "internal error")
        failure = incoming.named(failure)
        outcome.code = failure.code
        outcome.reason = failure.reason_name
        await failure.abort(context)

    def _failure(self, error: Exception) -> Failure | None:
        if isinstance(error, Failure):
            return error
        if isinstance(error, grpc.aio.AioRpcError):
            return from_peer(error)
        if isinstance(error, TimeoutError):
            return Failure(
                StatusCode.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED, "the work was not done within the deadline"
            )
        return self._translate(error)


def role_required(role: str) -> Failure:
    return Failure(
        StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_ROLE_REQUIRED, f"this needs the role {role} or a higher one", {"role": role}
    )


class _Outcome:
    code: StatusCode = StatusCode.OK
    reason: str = ""


class _observed:  # noqa: N801 - used as a function
    """Opens the request's context, and closes it with one metric, span and log line."""

    def __init__(self, method: str, context: Context) -> None:
        self._method = method
        self._context = context
        self._outcome = _Outcome()

    def __enter__(self) -> _Outcome:
        metadata = _metadata(self._context)
        correlation_id = logs.clean_correlation_id(metadata.get("x-correlation-id", "")) or uuid.uuid4().hex
        remaining = self._context.time_remaining()
        deadline = None if remaining is None else asyncio.get_running_loop().time() + min(remaining, _MAX_DEADLINE_SECONDS)
        call.enter(
            call.Call(
                method=self._method,
                correlation_id=correlation_id,
                client_address=metadata.get("x-client-address", "")[:64],
                user_agent=metadata.get("user-agent", "")[:200],
                deadline=deadline,
            )
        )
        logs.correlate(correlation_id)
        self._context.set_trailing_metadata((("x-correlation-id", correlation_id),))
        self._span = traces.server_span(self._method, metadata)
        self._span.__enter__()
        self._started = time.monotonic()
        metrics.rpc_started(self._method)
        return self._outcome

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None and issubclass(kind, (asyncio.CancelledError, GeneratorExit)):
            self._outcome.code = StatusCode.CANCELLED
        seconds = time.monotonic() - self._started
        metrics.rpc_ended(self._method, self._outcome.code.name, seconds)
        self._span.__exit__(None, None, None)
        level = logging.WARNING if self._outcome.code in (StatusCode.INTERNAL, StatusCode.UNKNOWN) else logging.DEBUG
        if log.isEnabledFor(level):
            log.log(level, "%s %s %s %.1f ms", self._method, self._outcome.code.name, self._outcome.reason, seconds * 1000)


def _metadata(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
