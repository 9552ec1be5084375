"""Tools that know nothing ask the gateway for the contract, and call by what it says."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse

from tests.conftest import Person
from tests.e2e import faces

_BUF = str(Path(sys.executable).parent / "buf")
_PUBLIC = sorted({method.containing_service.full_name for method in faces.PUBLIC})
_INTERNAL = sorted({method.containing_service.full_name for method in faces.INTERNAL})
_VERSIONS = ("v1", "v1alpha")


async def _buf(*arguments: str) -> str:
    command = (_BUF, "curl", "--http2-prior-knowledge", "--protocol", "grpc", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors
    return output.decode()


async def _asked(channel: grpc.aio.Channel, version: str, *requests: ServerReflectionRequest) -> list[ServerReflectionResponse]:
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=ServerReflectionRequest.SerializeToString,
        response_deserializer=ServerReflectionResponse.FromString,
    )

    async def sent() -> AsyncIterator[ServerReflectionRequest]:
        for request in requests:
            yield request

    return [answer async for answer in call(sent())]


async def test_buf_curl_works_without_files(address: str, ada: Person) -> None:
    """It lists the services, and calls one."""
    assert sorted((await _buf("--list-services", f"http://{address}")).split()) == _PUBLIC
    me = await _buf("-H", f"authorization: Bearer {ada.token}", f"http://{address}/semantik.auth.v1.UserService/GetMe")
    assert json.loads(me)["user"]["username"] == ada.user.username


@pytest.mark.abuse(10)
@pytest.mark.parametrize("version", _VERSIONS)
async def test_only_what_is_public_is_described(gateway: grpc.aio.Channel, version: str) -> None:
    """Every file that a public service needs, and none of an internal one, by whatever name it is asked for."""
    [listed] = await _asked(gateway, version, ServerReflectionRequest(list_services=""))
    assert [service.name for service in listed.list_services_response.service] == _PUBLIC
    described = await _asked(gateway, version, *(ServerReflectionRequest(file_containing_symbol=name) for name in _PUBLIC))
    files = [FileDescriptorProto.FromString(file) for answer in described for file in answer.file_descriptor_response.file_descriptor_proto]
    assert {f"{file.package}.{service.name}" for file in files for service in file.service} == set(_PUBLIC)
    names = [*_INTERNAL, "semantik.auth.v1.Principal", "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]
    hidden = [ServerReflectionRequest(file_containing_symbol=name) for name in names]
    hidden += [
        ServerReflectionRequest(file_by_filename=f"semantik/auth/v1/{name}.proto") for name in ("auth_internal_service", "principal")
    ]
    assert {answer.error_response.error_code for answer in await _asked(gateway, version, *hidden)} == {grpc.StatusCode.NOT_FOUND.value[0]}


@pytest.mark.abuse(32)
async def test_an_address_has_a_share_of_streams(gateway: grpc.aio.Channel) -> None:
    """As of every service: one more is refused while they are open."""
    request = ServerReflectionRequest(list_services="")
    watch: Any = gateway.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    opened: list[Any] = [watch() for _ in range(256)]
    try:
        for call in opened:
            await call.write(request.SerializeToString())
            await call.read()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await watch().read()  # writes nothing: grpcio's client can lose an answer that comes while it does
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    finally:
        for call in opened:
            call.cancel()
