"""A session that was stolen, ended or belongs to somebody else opens nothing, on both faces."""

import asyncio
import functools
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest
from google.protobuf import json_format

from libs.rpc.errors import reason_of
from semantik.auth.v1.auth_service_pb2 import LogoutRequest, RefreshTokenRequest
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from semantik.auth.v1.session_pb2 import Tokens
from semantik.auth.v1.user_service_pb2 import GetMeRequest, RevokeSessionRequest
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1.operation_pb2 import Operation
from semantik.operation.v1.operation_service_pb2 import WatchOperationRequest
from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceStub
from tests.conftest import Person
from tests.e2e.faces import Refusal, empty, method, on_both, over_grpc, over_http

REFRESH = method("auth.v1.AuthService.RefreshToken")
ME = method("auth.v1.UserService.GetMe")
OF_EACH_SERVICE = (
    ME,
    method("collection.v1.CollectionService.ListCollections"),
    method("operation.v1.OperationService.ListOperations"),
    method("embedding.v1.ModelService.ListModels"),
    method("search.v1.SearchService.Search"),
)
VOID = ("UNAUTHENTICATED", "TOKEN_INVALID")
SPENT = ("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID")
Face = Callable[..., Awaitable[Refusal]]


@pytest.fixture(params=["gRPC", "JSON"])
def face(request: pytest.FixtureRequest, gateway: grpc.aio.Channel, http: httpx.AsyncClient) -> Face:
    return functools.partial(over_grpc, gateway) if request.param == "gRPC" else functools.partial(over_http, http)


def _tokens(person: Person) -> Tokens:
    assert person.client.session.tokens is not None
    return person.client.session.tokens


async def _renewed(gateway: grpc.aio.Channel, token: str) -> Tokens:
    return (await AuthServiceStub(gateway).RefreshToken(RefreshTokenRequest(refresh_token=token))).tokens


async def _renewed_as_json(http: httpx.AsyncClient, token: str) -> Tokens:
    answer = await http.post("/v1/auth:refresh", json={"refreshToken": token})
    return json_format.ParseDict(answer.json()["tokens"], Tokens())


@pytest.mark.abuse(4)
async def test_refreshes_at_once_get_the_same_successor(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person) -> None:
    """Whichever face they come by, and all of them go on."""
    first = _tokens(ada).refresh_token
    renewed = await asyncio.gather(
        *(_renewed(gateway, first) for _ in range(2)),
        *(_renewed_as_json(http, first) for _ in range(2)),
    )
    [successor] = {tokens.refresh_token for tokens in renewed}
    assert successor != first
    for tokens in renewed:
        assert (await on_both(gateway, http, ME, GetMeRequest(), authorization=f"Bearer {tokens.access_token}")).code == "OK"


@pytest.mark.abuse(3)
@pytest.mark.parametrize("aged", ["the grace is over", "the successor was used"])
async def test_a_refresh_token_used_again_ends_its_session(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, rows: psycopg.AsyncConnection, face: Face, ada: Person, aged: str
) -> None:
    """Whichever face it comes by, every token of the session is void on both, and the audit log knows."""
    tokens = [_tokens(ada)]
    tokens.append(await _renewed(gateway, tokens[0].refresh_token))
    if aged == "the successor was used":
        tokens.append(await _renewed_as_json(http, tokens[1].refresh_token))
    else:
        await rows.execute(
            "UPDATE auth.refresh_tokens SET use_time = use_time - interval '11 seconds' WHERE user_id = %s AND use_time IS NOT NULL",
            (ada.user.id,),
        )
    assert (await face(REFRESH, RefreshTokenRequest(refresh_token=tokens[0].refresh_token))).why == SPENT
    for each in tokens:
        assert (await on_both(gateway, http, REFRESH, RefreshTokenRequest(refresh_token=each.refresh_token))).why == SPENT
        assert (await on_both(gateway, http, ME, GetMeRequest(), authorization=f"Bearer {each.access_token}")).why == VOID
    cursor = await rows.execute(
        "SELECT count(*) FROM auth.auth_audit_log WHERE actor = %s AND action = 'refresh' AND outcome = 'reused'", (ada.user.id,)
    )
    assert await cursor.fetchone() == (1,)


@pytest.mark.abuse(5)
async def test_a_session_that_ended_and_a_user_that_was_disabled_are_shut_out_everywhere(
    gateway: grpc.aio.Channel,
    http: httpx.AsyncClient,
    rows: psycopg.AsyncConnection,
    ada: Person,
    stranger: Person,
    person: Callable[[], Awaitable[Person]],
    collection: Collection,
    shelf: Path,
) -> None:
    """By whichever face one signs out, within 60 seconds also at the services that hear of it from auth, on both faces.

    What was open ends too.
    """
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    # It waits for good now, for a worker that there is not.
    await rows.execute("UPDATE operation.operations SET state = 'QUEUED', queue = 'nobody' WHERE id = %s", (operation.id,))
    watch = OperationServiceStub(gateway).WatchOperation(
        WatchOperationRequest(operation_id=operation.id), metadata=tuple(ada.headers.items()), timeout=70
    )
    states = watch.__aiter__()
    assert (await anext(states)).operation.state == Operation.STATE_QUEUED
    ended, ended_as_json, disabled = _tokens(ada), _tokens(await person()), stranger.token
    await rows.execute("UPDATE auth.users SET is_active = false WHERE id = %s", (stranger.user.id,))
    await rows.execute(
        "INSERT INTO auth.revocations (user_id, not_before, reason) VALUES (%s, clock_timestamp(), 'disabled')", (stranger.user.id,)
    )
    logout = method("auth.v1.AuthService.Logout")
    assert (await over_grpc(gateway, logout, LogoutRequest(refresh_token=ended.refresh_token))).code == "OK"
    assert (await over_http(http, logout, LogoutRequest(refresh_token=ended_as_json.refresh_token))).code == "OK"
    void = (ended.access_token, ended_as_json.access_token, disabled)
    pending = {(token, of.full_name) for token in void for of in OF_EACH_SERVICE}
    async with asyncio.timeout(60):
        while pending:
            for of in OF_EACH_SERVICE:
                for token in void:
                    if (await over_grpc(gateway, of, empty(of), authorization=f"Bearer {token}")).why == VOID:
                        assert (await over_http(http, of, empty(of), authorization=f"Bearer {token}")).why == VOID
                        pending.discard((token, of.full_name))
            await asyncio.sleep(0.5)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for _ in states:
                pass
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


@pytest.mark.abuse(7)
async def test_another_users_session_does_not_exist(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, stranger: Person
) -> None:
    """Ending it answers like an id nobody has, and it lives on."""
    [hers] = await ada.client.accounts.sessions()
    for session_id in (hers.id, str(uuid.uuid4())):
        request = RevokeSessionRequest(session_id=session_id)
        of = method("auth.v1.UserService.RevokeSession")
        refused = await on_both(gateway, http, of, request, authorization=f"Bearer {stranger.token}")
        assert refused == Refusal("NOT_FOUND", "SESSION_NOT_FOUND", f"session {session_id} does not exist")
    assert (await on_both(gateway, http, ME, GetMeRequest(), authorization=f"Bearer {ada.token}")).code == "OK"
