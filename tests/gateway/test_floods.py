"""Floods of frames and slow headers hold nobody else up."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest
from h2.connection import H2Connection
from h2.settings import SettingCodes

from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub
from tests.gateway.conftest import gateway
from tests.gateway.halves import Http2
from tests.gateway.standin import StandIn

_FRAMES = 5000
_CONNECTIONS = 4
_HEADERS = [(":method", "POST"), (":scheme", "http"), (":path", "/semantik.auth.v1.UserService/GetMe"), (":authority", "test")]


def _resets(http: H2Connection) -> None:
    stream = http.get_next_available_stream_id()
    http.send_headers(stream, [*_HEADERS, ("content-type", "application/grpc"), ("te", "trailers")])
    http.reset_stream(stream)


def _pings(http: H2Connection) -> None:
    http.ping(b"12345678")


def _settings(http: H2Connection) -> None:
    http.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})


@pytest.mark.abuse(31)
@pytest.mark.parametrize("frames", [_resets, _pings, _settings])
async def test_a_flood_of_frames_holds_nobody_up(gateway_port: int, channel: grpc.aio.Channel, frames: object) -> None:
    """Resets of streams, pings and settings, thousands on each of some connections; others are answered all the while."""
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        connections = [await stack.enter_async_context(aclosing(Http2(gateway_port))) for _ in range(_CONNECTIONS)]
        for connection in connections:
            await connection.open()
        flood = asyncio.gather(*(connection.flood(frames, _FRAMES) for connection in connections))  # type: ignore[arg-type]
        slowest = await _slowest(channel, flood)
        sent = await flood
    assert sum(sent) > 100, "there was no flood"
    assert slowest < 2


@pytest.mark.abuse(31)
async def test_headers_that_trickle_hold_nobody_up(standin: StandIn, tmp_path: Path) -> None:
    """500 connections whose headers never end: they are ended after their time, and others are answered meanwhile."""
    async with (
        gateway(standin.port, tmp_path, {"request_headers_timeout: 10s": "request_headers_timeout: 2s"}) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        asyncio.timeout(60),
    ):
        opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(500)))
        for _, writer in opened:
            writer.write(b"GET /v1/users/me HTTP/1.1\r\nhost: test\r\nx-slow: ")
        answers = asyncio.gather(*(reader.read() for reader, _ in opened))
        slowest = await _slowest(channel, answers)
        ended = await answers
        for _, writer in opened:
            writer.close()
    assert {answer.split(b"\r\n")[0] for answer in ended} == {b"HTTP/1.1 408 Request Timeout"}
    assert slowest < 2


async def _slowest(channel: grpc.aio.Channel, flood: "asyncio.Future[Any]") -> float:
    """Call until the flood has ended; returns the seconds that the slowest call took."""
    loop, slowest = asyncio.get_running_loop(), 0.0
    while not flood.done():
        started = loop.time()
        await UserServiceStub(channel).GetMe(GetMeRequest(), timeout=10)
        slowest = max(slowest, loop.time() - started)
        await asyncio.sleep(0.01)
    return slowest
