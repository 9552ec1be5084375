"""The rates of users and addresses: Envoy asks auth's own servicer, which counts in a real Redis."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from grpc_status import rpc_status
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.child import Child
from libs.rpc.identity import Verifier
from libs.rpc.identity.revocations import Pages
from libs.rpc.mesh import MeshIdentity, new_key
from semantik.auth.v1.auth_service_pb2 import LoginRequest
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from services.auth.keys import SigningKeys
from services.auth.rate_limits.counters import Counters
from services.auth.rate_limits.limits import Limits
from services.auth.rate_limits.servicer import RateLimitServicer, add_rate_limits
from services.auth.tokens import Tokens
from tests.gateway.conftest import PROOF, gateway
from tests.gateway.standin import StandIn
from tests.servers import redis_process

LIMITS = Limits(sign_in_by_address=5, write_by_user=3, write_by_address=12)
SESSION = "/v1/users/me/sessions/7b6d7a7c-2a3e-4c61-9a63-0f1f5f7f6c11"


@dataclass(frozen=True)
class Limited:
    """A gateway whose auth counts, with a Redis of its own."""

    port: int
    standin: StandIn
    tokens: Tokens
    redis: Child

    def bearer(self, user_id: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens.access(user_id, 'USER', str(uuid.uuid4())).value}"}

    def calls(self, method: str) -> int:
        return self.standin.calls.get(method, 0)


async def _no_revocations() -> Pages:
    yield []


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Limited]:
    mesh = MeshIdentity("auth", new_key())
    keys = SigningKeys(tmp_path / "keys", may_generate=True)
    async with redis_process() as (server, process):

        async def jwks() -> str:
            return keys.jwks

        verifier = Verifier(jwks, _no_revocations)
        await verifier.refresh()
        counters = Counters(server.url)
        standin = StandIn(foreign=[partial(add_rate_limits, RateLimitServicer(mesh, verifier, counters, LIMITS))])
        await standin.start()
        # A busy machine answers late, and late is let through.
        async with gateway(standin.port, tmp_path, {PROOF: mesh.gateway_proof, "timeout: 0.1s": "timeout: 30s"}) as port:
            yield Limited(port, standin, Tokens(keys, mesh, 900), process)
        await standin.server.stop(0)
        await counters.close()


@pytest.fixture
async def http(limited: Limited) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{limited.port}", timeout=60) as client:
        yield client


async def _statuses(http: httpx.AsyncClient, count: int, headers: dict[str, str]) -> list[int]:
    return [(await http.delete(SESSION, headers=headers)).status_code for _ in range(count)]


async def test_a_user_has_a_rate_that_others_do_not_use_up(limited: Limited, http: httpx.AsyncClient) -> None:
    """What is over a user's limit reaches no service; another user of the same address, and all that only reads, goes on."""
    ada, bob = limited.bearer(str(uuid.uuid4())), limited.bearer(str(uuid.uuid4()))
    assert await _statuses(http, 3, ada) == [200] * 3
    reached = limited.calls("RevokeSession")
    refused = await http.delete(SESSION, headers=ada)
    assert refused.status_code == 429
    assert limited.calls("RevokeSession") == reached
    assert refused.json()["details"][0]["reason"] == "RATE_LIMITED"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["details"][1]["retryDelay"] == f"{refused.headers['retry-after']}s"
    assert refused.headers["x-ratelimit-limit"].startswith("3, ")
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert await _statuses(http, 3, bob) == [200] * 3
    assert [(await http.get("/v1/users/me", headers=ada)).status_code for _ in range(20)] == [200] * 20


async def test_nobody_uses_up_the_rate_of_another(limited: Limited, http: httpx.AsyncClient) -> None:
    """A token that names a user and is not signed by auth counts for its address alone, whatever it says."""
    ada = str(uuid.uuid4())
    claims = {"iss": "semantik", "aud": "semantik", "sub": ada, "sid": str(uuid.uuid4()), "role": "USER", "iat": 1, "exp": 9999999999}
    forged = jwt.encode({"alg": "ES256", "typ": "at+jwt"}, claims, ECKey.import_key(new_key()), algorithms=["ES256"])
    assert await _statuses(http, 8, {"authorization": f"Bearer {forged}"}) == [200] * 8
    assert await _statuses(http, 4, limited.bearer(ada)) == [200, 200, 200, 429]


async def test_sign_in_has_a_stricter_rate(limited: Limited, http: httpx.AsyncClient) -> None:
    """JSON and gRPC count together; gRPC callers read how long to wait from RetryInfo."""
    answers = [await http.post("/v1/auth:login", json={"username": "ada"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert answers[0].headers["x-ratelimit-remaining"] == "4"
    reached = limited.calls("Login")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{limited.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await AuthServiceStub(channel).Login(LoginRequest(username="ada"))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(caught.value)
    retry = RetryInfo()
    assert status.details[1].Unpack(retry)
    assert 1 <= retry.retry_delay.seconds <= 60
    assert limited.calls("Login") == reached


async def test_without_redis_calls_are_let_through(limited: Limited, http: httpx.AsyncClient) -> None:
    """What cannot be counted is not refused; the gateway's own rate of an address is the floor."""
    ada = limited.bearer(str(uuid.uuid4()))
    assert (await _statuses(http, 4, ada))[3] == 429
    await limited.redis.stop()
    assert await _statuses(http, 8, ada) == [200] * 8
