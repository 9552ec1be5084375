"""Channels to peers: mesh token, correlation, deadline and retry policy on every call."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import grpc

from libs.rpc import call, limits
from libs.rpc.mesh import MeshIdentity
from libs.telemetry import traces
from semantik import policy

DEFAULT_SECONDS = 30.0
_ATTEMPTS = 4
_LONGEST_WAIT_SECONDS = 1.0


def connect(target: str, audience: str, mesh: MeshIdentity, services: Iterable[str] = ()) -> grpc.aio.Channel:
    """Open a channel to the service ``audience`` at ``target``, round robin over its replicas.

    ``services`` are the full names of the gRPC services called over it: what the contract says may be repeated is
    called again on UNAVAILABLE. Calls without a timeout get what is left of the current request's, at most 30 s;
    calls whose response is a stream get none.
    """
    outgoing = _Outgoing(mesh, audience)
    interceptors = [kind(outgoing) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]
    if mesh.tls is None:
        return grpc.aio.insecure_channel(target, options=_options(services), interceptors=interceptors)
    return grpc.aio.secure_channel(target, mesh.tls.channel_credentials(), options=_options(services), interceptors=interceptors)


def _options(services: Iterable[str]) -> list[tuple[str, Any]]:
    config = {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": policy.retries(services, _ATTEMPTS, _LONGEST_WAIT_SECONDS)}
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.max_receive_message_length", limits.MESSAGE_BYTES),
        ("grpc.max_send_message_length", limits.MESSAGE_BYTES),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.keepalive_time_ms", limits.PING_SECONDS * 1000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]


class _Outgoing:
    """What every call carries."""

    def __init__(self, mesh: MeshIdentity, audience: str) -> None:
        self._mesh = mesh
        self._audience = audience

    def details(self, details: Any, default_seconds: float | None) -> Any:
        current = call.current()
        metadata = list(details.metadata or ())
        metadata.append(("authorization", f"Bearer {self._mesh.token(self._audience)}"))
        if current.correlation_id:
            metadata.append(("x-correlation-id", current.correlation_id))
        metadata.extend(traces.outgoing().items())
        timeout = details.timeout
        if timeout is None and default_seconds is not None:
            timeout = default_seconds
            if current.deadline is not None:
                timeout = min(timeout, max(0.001, current.deadline - asyncio.get_running_loop().time()))
        headers = grpc.aio.Metadata(*metadata)
        return grpc.aio.ClientCallDetails(details.method, timeout, headers, details.credentials, details.wait_for_ready)


class _Interceptor:
    def __init__(self, outgoing: _Outgoing) -> None:
        self._outgoing = outgoing


# grpc.aio asks for one class a kind of call; an object of several would count as the first of them.
class _UnaryUnary(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return await continuation(self._outgoing.details(client_call_details, DEFAULT_SECONDS), request)


class _UnaryStream(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return await continuation(self._outgoing.details(client_call_details, None), request)


class _StreamUnary(_Interceptor, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self._outgoing.details(client_call_details, DEFAULT_SECONDS), request_iterator)


class _StreamStream(_Interceptor, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self._outgoing.details(client_call_details, None), request_iterator)
