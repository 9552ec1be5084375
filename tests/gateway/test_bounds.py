"""No cheap request makes the gateway refuse others."""

import asyncio
import json
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import grpc
import httpx
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1.auth_service_pb2 import LoginRequest
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub
from tests.gateway.conftest import gateway
from tests.gateway.halves import Http1, Http2
from tests.gateway.standin import StandIn
from tests.gateway.test_json import COLLECTION, reason

_JSON = {"authorization": "Bearer invented", "content-type": "application/json"}
_GRPC = {"authorization": "Bearer invented", "content-type": "application/grpc", "te": "trailers"}
_CREATE = "/v1/collections"
_WATCH = "/semantik.operation.v1.OperationService/WatchOperation"
_HALVES = 150
_HALF_BYTES = 7_500_000


@pytest.mark.parametrize("kind", ["http/1.1", "http/2"])
async def test_half_bodies_do_not_fill_the_memory(standin: StandIn, tmp_path: Path, kind: str) -> None:
    """Of 150 bodies of 7.5 MB that never end so many are ended that others are answered, and what is held is bounded."""
    async with (
        gateway(standin.port, tmp_path) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        _admin(tmp_path) as admin,
        asyncio.timeout(60),
    ):
        halves = asyncio.create_task(asyncio.to_thread(asyncio.run, _send_halves(port, kind)))
        loop = asyncio.get_running_loop()
        slowest, most = 0.0, 0
        while not halves.done():
            started = loop.time()
            await UserServiceStub(channel).GetMe(GetMeRequest(), timeout=10)
            slowest = max(slowest, loop.time() - started)
            most = max(most, int((await admin.get("/memory")).json()["allocated"]))
        answers = await halves
    assert slowest < 3
    assert 100_000_000 < most < 900_000_000
    assert answers.keys() <= {"ended", "HTTP/1.1 503 Service Unavailable", "HTTP/1.1 408 Request Timeout"}
    assert answers.total() == _HALVES


async def test_a_body_that_trickles_is_ended(tmp_path: Path) -> None:
    """After its time, whatever still comes; a watch, an upload and a slow call that take longer are not."""
    standin = StandIn()
    await standin.start()
    standin.released.clear()

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        await standin.released.wait()
        yield b"two"

    async with (
        gateway(standin.port, tmp_path, {'"30s"': '"1s"', '"idle_timeout": "10s"': '"idle_timeout": "1s"'}) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http,
        http.stream("GET", f"/v1/operations/{COLLECTION}:watch") as watch,
        asyncio.TaskGroup() as tasks,
        asyncio.timeout(20),
    ):
        events = watch.aiter_lines()
        await anext(events)
        upload = tasks.create_task(http.post(f"/v1/collections/{COLLECTION}/documents:upload?name=a.txt", content=parts()))
        slow = tasks.create_task(http.post(f"/v1/collections/{COLLECTION}/documents:retry", json={}))
        answers = await asyncio.gather(*(_trickle(port, path) for path in (_CREATE, "/v1/auth:login", "/v1/nothing")))
        standin.released.set()
        rest = [line async for line in events if line]
    await standin.server.stop(0)
    for answer in answers:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 "), answer
        assert (json.loads(body)["message"], b"DEADLINE_EXCEEDED" in body) == ("the request did not arrive in time", True)
    assert ((await upload).json()["document"]["sizeBytes"], (await slow).json()["documentCount"], len(rest)) == ("6", "1", 1)


async def test_a_message_that_trickles_is_ended(standin: StandIn, tmp_path: Path) -> None:
    """Also where the answer would be a stream, which may last a day."""
    async with (
        gateway(standin.port, tmp_path, {"request_timeout: 3600s": "request_timeout: 1s"}) as port,
        asyncio.timeout(20),
        aclosing(Http2(port)) as http,
    ):
        await http.open()
        stream = http.start(_WATCH, _GRPC)
        await http.send(stream, 10, struct.pack(">BI", 0, 10_000))
        await http.until(lambda: "grpc-status" in http.ended.get(stream, {}))
        assert http.ended[stream]["grpc-status"] == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])


async def test_an_address_has_a_rate_where_it_needs_no_credentials(standin: StandIn, tmp_path: Path) -> None:
    """So many calls at once and so many a second, in JSON and gRPC together; nothing else is held up."""
    async with (
        gateway(standin.port, tmp_path, {"max_tokens: 1000, tokens_per_fill: 100,": "max_tokens: 100, tokens_per_fill: 20,"}) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        asyncio.timeout(60),
    ):
        count = 0
        while (answer := await http.post("/v1/auth:login", json={"username": "ada"})).status_code == 200 and count < 1000:
            count += 1
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.gather(*(AuthServiceStub(channel).Login(LoginRequest(username="ada")) for _ in range(200)))
        assert [(await http.get("/v1/users/me")).status_code for _ in range(200)] == [200] * 200
    assert count >= 100
    assert (answer.status_code, reason(answer), answer.headers["retry-after"]) == (429, "RATE_LIMITED", "1")
    assert answer.json()["details"][1]["retryDelay"] == "1s"
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")


async def _send_halves(port: int, kind: str) -> Counter[str]:
    """Return how the bodies ended that did before the last was sent."""
    if kind == "http/1.1":
        requests = [Http1(port) for _ in range(_HALVES)]
        for request in requests:
            await request.start(_CREATE, _HALF_BYTES + 1, _JSON)
        answering = [asyncio.create_task(request.answer()) for request in requests]
        await asyncio.gather(*(request.send(_HALF_BYTES) for request in requests))
        for request in requests:
            await request.aclose()
        answers = await asyncio.gather(*answering)
        return Counter(answer.split(b"\r\n")[0].decode() or "ended" for answer in answers)
    async with AsyncExitStack() as stack:
        connections = [Http2(port) for _ in range(5)]
        for connection in connections:
            await stack.enter_async_context(aclosing(connection))
            await connection.open()

        async def half(connection: Http2) -> None:
            await connection.send(connection.start(_CREATE, _JSON), _HALF_BYTES)

        await asyncio.gather(*(half(connections[number % len(connections)]) for number in range(_HALVES)))
    return Counter(["ended"] * _HALVES)


async def _trickle(port: int, path: str) -> bytes:
    request = Http1(port)
    await request.start(path, 10_000, _JSON)
    answer = asyncio.create_task(request.answer())
    while not answer.done():
        await request.send(1)
        await asyncio.wait([answer], timeout=0.1)
    await request.aclose()
    return await answer


def _admin(directory: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url="http://admin", transport=httpx.AsyncHTTPTransport(uds=str(directory / "admin.sock")))
