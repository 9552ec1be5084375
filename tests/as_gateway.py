"""A channel straight to a service that calls as the gateway does, with its proof."""

from collections.abc import Callable
from typing import Any

import grpc

from libs.rpc.mesh import MeshIdentity
from libs.rpc.proof import GATEWAY_HEADER


class _Vouching:
    def __init__(self, proof: str) -> None:
        self._proof = proof

    def details(self, details: Any) -> Any:
        metadata = grpc.aio.Metadata(*(details.metadata or ()), (GATEWAY_HEADER, self._proof))
        return grpc.aio.ClientCallDetails(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)


class _UnaryUnary(_Vouching, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details), request)


class _UnaryStream(_Vouching, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Callable[..., Any], client_call_details: Any, request: Any) -> Any:
        return await continuation(self.details(client_call_details), request)


class _StreamUnary(_Vouching, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.details(client_call_details), request_iterator)


class _StreamStream(_Vouching, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Callable[..., Any], client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(self.details(client_call_details), request_iterator)


def channel(address: str, mesh: MeshIdentity, credentials: grpc.ChannelCredentials | None = None) -> grpc.aio.Channel:
    """Open a channel to ``address``; plain without ``credentials``."""
    interceptors = [kind(mesh.gateway_proof) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]
    if credentials is None:
        return grpc.aio.insecure_channel(address, interceptors=interceptors)
    return grpc.aio.secure_channel(address, credentials, interceptors=interceptors)
