"""Nothing is read of a call before it is known whose it is and before its turn has come."""

import asyncio
import struct
from contextlib import aclosing
from typing import Any

import grpc
import pytest

from libs.rpc.boundary import Access
from libs.rpc.boundary.admit import Share
from libs.rpc.mesh import MeshIdentity
from libs.rpc.proof import GATEWAY_HEADER
from libs.rpc.server import Server
from semantik.auth.v1.auth_service_pb2 import LoginRequest
from tests.gateway.halves import Http2
from tests.service.rpc.conftest import SERVICE, Start, served

_METHOD = f"/{SERVICE}/unary_unary"
_SIZE = 4_000_000


async def _echo(request: Any, _context: Any) -> Any:
    return request


def _headers(mesh: MeshIdentity, **more: str) -> dict[str, str]:
    return {"content-type": "application/grpc", "te": "trailers", GATEWAY_HEADER: mesh.gateway_proof, **more}


async def _half(http: Http2, headers: dict[str, str]) -> int:
    """Send the beginning of a message; return its stream."""
    stream = http.start(_METHOD, headers)
    await http.send(stream, 1000, struct.pack(">BI", 0, _SIZE))
    return stream


@pytest.mark.parametrize(
    ("access", "more"),
    [
        (Access.SIGNED_IN, {}),
        (Access.SIGNED_IN, {"authorization": "Bearer invented"}),
        (Access.ANYONE, {GATEWAY_HEADER: "invented"}),
        (Access.MESH, {"authorization": "Bearer invented"}),
    ],
)
async def test_who_may_not_call_is_told_so_before_the_request_is_there(start: Start, access: Access, more: dict[str, str]) -> None:
    """However large a body is announced: none of it is waited for."""
    server = await start(served({"unary_unary": _echo}, access))
    async with asyncio.timeout(10), aclosing(Http2(server.port)) as http:
        await http.open()
        stream = await _half(http, {**_headers(server.mesh), **more})
        await http.until(lambda: "grpc-status" in http.ended.get(stream, {}))
        assert http.ended[stream]["grpc-status"] == str(grpc.StatusCode.UNAUTHENTICATED.value[0])


async def test_half_a_request_keeps_only_its_own_caller_waiting(start: Start) -> None:
    """Another address is answered on the same connection; the next call of the same one has its turn when the half one has gone."""
    server = await start(served({"unary_unary": _echo}), share=Share(calls=1, shared_calls=1))
    async with asyncio.timeout(20), aclosing(Http2(server.port)) as http:
        await http.open()
        half = await _half(http, _headers(server.mesh, **{"x-client-address": "192.0.2.1"}))
        assert await _ask(server, "192.0.2.2") == LoginRequest(username="ada", password="correct")
        waiting = asyncio.create_task(_ask(server, "192.0.2.1"))
        assert await _ask(server, "192.0.2.3") == LoginRequest(username="ada", password="correct")
        assert not waiting.done()
        await http.reset(half)
        assert await waiting == LoginRequest(username="ada", password="correct")


async def test_a_call_without_a_message_is_refused(start: Start) -> None:
    """A client that ends its side at once gets an answer of ours."""
    server = await start(served({"unary_unary": _echo}))
    metadata = ((GATEWAY_HEADER, server.mesh.gateway_proof),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.stream_unary(_METHOD)(iter(()), metadata=metadata, timeout=5)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def _ask(server: Server, address: str) -> Any:
    metadata = ((GATEWAY_HEADER, server.mesh.gateway_proof), ("x-client-address", address))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        ask = channel.unary_unary(_METHOD, LoginRequest.SerializeToString, LoginRequest.FromString)
        return await ask(LoginRequest(username="ada", password="correct"), metadata=metadata, timeout=10)
