"""The gateway speaks gRPC and gRPC-Web."""

import asyncio
import struct
from base64 import b64decode
from typing import Any

import grpc
import httpx
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1 import auth_internal_service_pb2, user_service_pb2
from semantik.auth.v1.auth_internal_service_pb2_grpc import AuthInternalServiceStub
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub
from semantik.collection.v1 import collection_service_pb2
from semantik.collection.v1.collection_service_pb2_grpc import CollectionServiceStub
from semantik.operation.v1 import operation_service_pb2
from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceStub
from tests.gateway.standin import StandIn


async def test_grpc_passes(channel: grpc.aio.Channel, standin: StandIn) -> None:
    """A unary call, with the client's address overwritten."""
    answer = await UserServiceStub(channel).GetMe(user_service_pb2.GetMeRequest(), metadata=(("x-client-address", "10.9.8.7"),))
    assert answer.user.username == "ada"
    assert standin.seen["GetMe"]["x-client-address"] == "127.0.0.1"


async def test_a_stream_passes(channel: grpc.aio.Channel) -> None:
    """A server stream, to its end."""
    call = OperationServiceStub(channel).WatchOperation(operation_service_pb2.WatchOperationRequest(operation_id="1"))
    assert [answer.operation.id async for answer in call] == ["1", "1"]


@pytest.mark.abuse(10)
async def test_an_internal_service_does_not_exist(channel: grpc.aio.Channel) -> None:
    """Behind the gateway the server has it; through the gateway it is UNIMPLEMENTED."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await AuthInternalServiceStub(channel).ListRevocations(auth_internal_service_pb2.ListRevocationsRequest())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.abuse(10, 29)
@pytest.mark.parametrize(
    "method",
    [
        "/semantik.nothing.v1.Nothing/Do",
        "/semantik.auth.v1.UserService/Nothing",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/semantik.auth.v1.UserService/../AuthInternalService/ListRevocations",
        "//semantik.auth.v1.AuthInternalService/ListRevocations",
    ],
)
async def test_what_is_not_listed_does_not_exist(channel: grpc.aio.Channel, method: str) -> None:
    """Neither unknown methods nor the servers' own services can be called."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(method)(b"")  # type: ignore[arg-type]
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNIMPLEMENTED, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize(
    "method",
    [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/semantik.nothing.v1.Nothing/Do",
    ],
)
async def test_what_does_not_exist_is_said_while_a_stream_stays_open(channel: grpc.aio.Channel, method: str) -> None:
    """Tools ask by reflection first and wait for the answer before they send more."""
    call: Any = channel.stream_stream(method)()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with asyncio.timeout(5):
            await call.read()
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNIMPLEMENTED, "ROUTE_NOT_FOUND")


@pytest.mark.abuse(29)
async def test_a_path_the_gateway_refuses_is_an_invalid_request(channel: grpc.aio.Channel) -> None:
    """Not INTERNAL, which HTTP's 400 would be in gRPC."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/semantik.auth.v1.UserService/Get%2fMe")(b"")  # type: ignore[arg-type]
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_a_read_is_repeated_where_a_service_is_unavailable(channel: grpc.aio.Channel, standin: StandIn) -> None:
    """One refusal is not seen by the client."""
    standin.failures = 1
    answer = await UserServiceStub(channel).GetMe(user_service_pb2.GetMeRequest())
    assert answer.user.username == "ada"
    assert standin.failures == 0


async def test_a_write_is_never_repeated(channel: grpc.aio.Channel, standin: StandIn) -> None:
    """UNAVAILABLE of a write is the client's to handle."""
    before = standin.calls.get("CreateCollection", 0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await CollectionServiceStub(channel).CreateCollection(collection_service_pb2.CreateCollectionRequest())
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert standin.calls["CreateCollection"] == before + 1


@pytest.mark.parametrize("path", ["GetMe", "Nothing"])
async def test_grpc_web_passes(http: httpx.AsyncClient, path: str) -> None:
    """A framed message in, a framed message and the status in a trailer frame out."""
    message = user_service_pb2.GetMeRequest().SerializeToString()
    response = await http.post(
        f"/semantik.auth.v1.UserService/{path}",
        content=struct.pack(">BI", 0, len(message)) + message,
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )
    assert response.headers["content-type"] == "application/grpc-web+proto"
    if path == "Nothing":
        assert (response.status_code, response.headers["grpc-status"]) == (200, "12")
        assert b"ROUTE_NOT_FOUND" in b64decode(response.headers["grpc-status-details-bin"])
        return
    flag, size = struct.unpack(">BI", response.content[:5])
    answer = user_service_pb2.GetMeResponse.FromString(response.content[5 : 5 + size])
    assert (flag, answer.user.username) == (0, "ada")
    trailer = response.content[5 + size :]
    assert trailer[0] == 0x80
    assert b"grpc-status:0" in trailer


@pytest.mark.abuse(10)
async def test_grpc_web_reaches_no_internal_service(http: httpx.AsyncClient) -> None:
    """gRPC-Web opens no other door."""
    response = await http.post(
        "/semantik.auth.v1.AuthInternalService/ListRevocations",
        content=struct.pack(">BI", 0, 0),
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
    )
    assert (response.status_code, response.headers["grpc-status"]) == (200, "12")
