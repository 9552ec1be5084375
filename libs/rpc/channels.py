"""Channels to peers: mesh token, correlation, deadline and retry policy on every call."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import grpc

from libs.rpc import call
from libs.rpc.mesh import MeshIdentity
from libs.rpc.server import MESSAGE_BYTES
from libs.telemetry import traces

DEFAULT_SECONDS = 30.0


def connect(target: str, audience: str, mesh: MeshIdentity, idempotent: Iterable[str] = ()) -> grpc.aio.Channel:
    """Open a channel to the service ``audience`` at ``target``, round robin over its replicas.

    ``idempotent`` names methods (``package.Service/Method`` or ``package.Service``) that are retried on UNAVAILABLE.
    Calls without a timeout get what is left of the current request's, at most 30 s.
    """
    interceptors: list[grpc.aio.ClientInterceptor] = [_Unary(mesh, audience), _Stream(mesh, audience)]
    return grpc.aio.insecure_channel(target, options=_options(idempotent), interceptors=interceptors)


def _options(idempotent: Iterable[str]) -> list[tuple[str, Any]]:
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    names = [_name(method) for method in idempotent]
    if names:
        policy = {
            "maxAttempts": 4,
            "initialBackoff": "0.1s",
            "maxBackoff": "1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config["methodConfig"] = [{"name": names, "retryPolicy": policy}]
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]


def _name(method: str) -> dict[str, str]:
    service, _, name = method.partition("/")
    return {"service": service, "method": name} if name else {"service": service}


class _Outgoing:
    def __init__(self, mesh: MeshIdentity, audience: str) -> None:
        self._mesh = mesh
        self._audience = audience

    def details(self, details: Any, default_seconds: float | None) -> Any:
        request = call.current()
        metadata = list(details.metadata or ())
        metadata.append(("authorization", f"Bearer {self._mesh.token(self._audience)}"))
        if request.correlation_id:
            metadata.append(("x-correlation-id", request.correlation_id))
        metadata.extend(traces.outgoing().items())
        timeout = details.timeout
        if timeout is None and default_seconds is not None:
            timeout = default_seconds
            if request.deadline is not None:
                timeout = min(timeout, max(0.001, request.deadline - asyncio.get_running_loop().time()))
        headers = grpc.aio.Metadata(*metadata)
        return grpc.aio.ClientCallDetails(details.method, timeout, headers, details.credentials, details.wait_for_ready)


class _Unary(_Outgoing, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details, DEFAULT_SECONDS), request)


class _Stream(_Outgoing, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details, None), request)
