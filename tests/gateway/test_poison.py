"""A header that no service can read harms the call it came with, and no other on the same connection to the service."""

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.gateway.conftest import gateway
from tests.gateway.standin import StandIn

AFTER = 10


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway of the test's own: what is spoilt stays spoilt."""
    standin = StandIn()
    await standin.start()
    try:
        async with gateway(standin.port, tmp_path) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    finally:
        await standin.server.stop(0)


async def _web(http: httpx.AsyncClient, **more: str) -> httpx.Response:
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"} | more
    return await http.post("/semantik.auth.v1.UserService/GetMe", content=struct.pack(">BI", 0, 0), headers=headers)


@pytest.mark.abuse(30, 38, 39)
@pytest.mark.parametrize("given", ["-1S", "1x", "", "S", "123456789S", "1 S", "1S,1S"])
async def test_one_bad_deadline_harms_no_other_call(own: httpx.AsyncClient, given: str) -> None:
    """It is refused as INVALID_ARGUMENT; callers after it, of JSON as of gRPC-Web, are answered as before."""
    bad = await _web(own, **{"grpc-timeout": given})
    after = [(await own.get("/v1/users/me")).status_code for _ in range(AFTER)]
    web = [(await _web(own, **{"grpc-timeout": "10S"})).headers.get("grpc-status", "0") for _ in range(AFTER)]
    assert (set(after), set(web)) == ({200}, {"0"})
    assert bad.headers.get("grpc-status") in ("3", None)


@pytest.mark.abuse(30, 38)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("grpc-encoding", "nonsense"),
        ("grpc-accept-encoding", "\x7f"),
        ("grpc-previous-rpc-attempts", "-1"),
        ("grpc-retry-pushback-ms", "x"),
        ("grpc-trace-bin", "!"),
        ("grpc-tags-bin", "!"),
        ("x-own-bin", "not base64!"),
        ("lb-cost-bin", "AAAA"),
        ("lb-token", "a"),
        ("traceparent", "nonsense"),
        ("te", "nonsense"),
        ("content-encoding", "nonsense"),
        ("grpc-status", "0"),
        ("x-envoy-peer-metadata", "a"),
    ],
)
async def test_one_bad_header_harms_no_other_call(own: httpx.AsyncClient, name: str, value: str) -> None:
    """Whatever becomes of its own call."""
    await _web(own, **{name: value})
    after = [(await own.get("/v1/users/me")).status_code for _ in range(AFTER)]
    web = [(await _web(own, **{name: "gzip"} if "encoding" in name else {})).headers.get("grpc-status", "0") for _ in range(AFTER)]
    assert set(after) == {200}
    assert set(web) <= {"0", "12", "3"}
