"""/healthz says that the gateway lives, /readyz that every service behind it does."""

import asyncio

import grpc
import httpx
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub
from tests.gateway.standin import StandIn
from tests.gateway.test_json import reason


async def test_the_gateway_lives(http: httpx.AsyncClient) -> None:
    """It depends on nothing."""
    response = await http.get("/healthz")
    assert (response.status_code, response.text) == (200, "ok\n")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_browser_is_told_what_this_is(http: httpx.AsyncClient, method: str) -> None:
    """At the address itself, where people look first; nothing else answers there."""
    response = await http.request(method, "/")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    if method == "GET":
        assert (response.json()["name"], response.json()["health"]) == ("Semantik", {"gateway": "/healthz", "services": "/readyz"})
    assert (await http.post("/", content=b"{}")).status_code == 404


async def test_ready_follows_the_services(http: httpx.AsyncClient, channel: grpc.aio.Channel, standin: StandIn) -> None:
    """A service that says NOT_SERVING makes the gateway not ready, and calls to it UNAVAILABLE; it comes back by itself."""
    assert (await http.get("/readyz")).status_code == 200
    await standin.set_serving(serving=False)
    try:
        await _wait_for(http, 503)
        assert (await http.get("/healthz")).status_code == 200
        refused = await http.get("/v1/users/me")
        assert (refused.status_code, reason(refused)) == (503, "DEPENDENCY_UNAVAILABLE")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await UserServiceStub(channel).GetMe(GetMeRequest())
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE")
    finally:
        await standin.set_serving(serving=True)
        await _wait_for(http, 200)


async def _wait_for(http: httpx.AsyncClient, status: int) -> None:
    """Wait until all of the gateway knows: its workers hear later than what answers /readyz."""
    async with asyncio.timeout(20):
        while {(await http.get(path)).status_code for path in ("/readyz", "/v1/users/me")} != {status}:  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(0.1)
