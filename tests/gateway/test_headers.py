"""What the gateway says about the client, and what the client may not say about itself."""

import re

import httpx
import pytest

from tests.gateway.conftest import ORIGIN, PROOF
from tests.gateway.standin import StandIn


@pytest.mark.abuse(9)
async def test_the_client_address_is_the_peers(http: httpx.AsyncClient, standin: StandIn) -> None:
    """Whatever the client claims, services see where it is, and no header of identity."""
    claims = {"x-client-address": "10.9.8.7", "x-forwarded-for": "10.9.8.7", "x-real-ip": "10.9.8.7", "x-user-id": "root"}
    await http.get("/v1/users/me", headers=claims)
    assert standin.seen["GetMe"]["x-client-address"] == "127.0.0.1"
    assert not {"x-forwarded-for", "x-real-ip", "x-user-id", "forwarded"} & set(standin.seen["GetMe"])
    assert "10.9.8.7" not in standin.seen["GetMe"].values()


@pytest.mark.abuse(9, 39, 40)
async def test_the_gateway_proves_itself_and_nobody_else_does(http: httpx.AsyncClient, standin: StandIn) -> None:
    """Its own proof takes the place of whatever a client sends, and is not told to it."""
    response = await http.get("/v1/users/me", headers=[("x-gateway-proof", "a guess"), ("X-Gateway-Proof", "another")])
    assert standin.seen["GetMe"]["x-gateway-proof"] == PROOF
    assert PROOF not in str(response.headers)


@pytest.mark.abuse(9)
async def test_envoys_own_switches_are_not_the_clients(http: httpx.AsyncClient, standin: StandIn) -> None:
    """Timeouts and retries are not set from outside."""
    await http.get("/v1/users/me", headers={"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9"})
    assert not [name for name in standin.seen["GetMe"] if name.startswith("x-envoy-") and "original" not in name]


async def test_a_correlation_id_goes_in_and_out(http: httpx.AsyncClient, standin: StandIn) -> None:
    """A fit id is kept."""
    response = await http.get("/v1/users/me", headers={"x-correlation-id": "case-17"})
    assert standin.seen["GetMe"]["x-correlation-id"] == "case-17"
    assert response.headers["x-correlation-id"] == "case-17"


@pytest.mark.abuse(35)
@pytest.mark.parametrize("given", [None, "", "a b", "x" * 200, 'a"b'])
async def test_an_unfit_correlation_id_is_replaced(http: httpx.AsyncClient, standin: StandIn, given: str | None) -> None:
    """None, too long, or not fit for a log: the gateway makes one."""
    response = await http.get("/v1/users/me", headers={} if given is None else {"x-correlation-id": given})
    made = response.headers["x-correlation-id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", made)
    assert standin.seen["GetMe"]["x-correlation-id"] == made


async def test_browsers_of_a_listed_origin_may_call(http: httpx.AsyncClient) -> None:
    """CORS answers to the origins of the settings."""
    headers = {"origin": ORIGIN, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    response = await http.options("/v1/search", headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "authorization" in response.headers["access-control-allow-headers"]


@pytest.mark.abuse(9)
async def test_browsers_of_another_origin_may_not(http: httpx.AsyncClient) -> None:
    """An origin that is not listed gets no permission."""
    headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    response = await http.options("/v1/search", headers=headers)
    assert "access-control-allow-origin" not in response.headers


async def test_a_plain_answer_carries_the_permission(http: httpx.AsyncClient) -> None:
    """The answer itself, not only the preflight."""
    response = await http.get("/v1/users/me", headers={"origin": ORIGIN})
    assert response.headers["access-control-allow-origin"] == ORIGIN
