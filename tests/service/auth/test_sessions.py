"""Sessions: renewed, listed, ended."""

import asyncio
import uuid
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1 import auth_internal_service_pb2, auth_service_pb2, session_pb2, user_service_pb2
from tests.conftest import PASSWORD, Person

if TYPE_CHECKING:
    from semantik.auth.v1.auth_internal_service_pb2_grpc import AuthInternalServiceAsyncStub
    from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceAsyncStub
    from semantik.auth.v1.user_service_pb2_grpc import UserServiceAsyncStub


REFUSED = (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_TOKEN_INVALID")
VOID = (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")


async def _refresh(auth: "AuthServiceAsyncStub", token: str) -> session_pb2.Tokens:
    return (await auth.RefreshToken(auth_service_pb2.RefreshTokenRequest(refresh_token=token))).tokens


async def _refused(auth: "AuthServiceAsyncStub", token: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _refresh(auth, token)
    return caught.value.code(), reason_of(caught.value)


async def _login(auth: "AuthServiceAsyncStub", person: Person) -> session_pb2.Tokens:
    return (await auth.Login(auth_service_pb2.LoginRequest(username=person.user.username, password=PASSWORD))).tokens


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


async def _me(users: "UserServiceAsyncStub", token: str) -> tuple[grpc.StatusCode, str]:
    try:
        await users.GetMe(user_service_pb2.GetMeRequest(), metadata=_bearer(token))
    except grpc.aio.AioRpcError as error:
        return error.code(), reason_of(error)
    return grpc.StatusCode.OK, ""


async def _revocations(internal: "AuthInternalServiceAsyncStub", page_size: int = 1000) -> list[auth_internal_service_pb2.Revocation]:
    """Read every page."""
    request = auth_internal_service_pb2.ListRevocationsRequest(page_size=page_size)
    found: list[auth_internal_service_pb2.Revocation] = []
    while True:
        page = await internal.ListRevocations(request)
        found += page.revocations
        request.page_token = page.next_page_token
        if not request.page_token:
            return found


async def _only_session(users: "UserServiceAsyncStub", token: str) -> str:
    [session] = (await users.ListSessions(user_service_pb2.ListSessionsRequest(), metadata=_bearer(token))).sessions
    return str(session.id)


@pytest.mark.abuse(4)
async def test_parallel_refreshes_get_the_same_successor(auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", ada: Person) -> None:
    """Two tabs that renew at once both go on."""
    first = await _login(auth, ada)
    renewed = await asyncio.gather(*(_refresh(auth, first.refresh_token) for _ in range(4)))
    assert len({tokens.refresh_token for tokens in renewed}) == 1
    assert renewed[0].refresh_token != first.refresh_token
    assert [await _me(users, tokens.access_token) for tokens in renewed] == [(grpc.StatusCode.OK, "")] * 4


@pytest.mark.abuse(3)
@pytest.mark.parametrize("aged", ["the grace is over", "the successor was used"])
async def test_a_refresh_token_used_again_ends_its_session(
    auth: "AuthServiceAsyncStub",
    users: "UserServiceAsyncStub",
    internal: "AuthInternalServiceAsyncStub",
    rows: psycopg.AsyncConnection,
    ada: Person,
    aged: str,
) -> None:
    """Whoever stole it, or whom it was stolen from, signs in again; other sessions live on, and the audit log knows."""
    other = await _login(auth, ada)
    first = await _login(auth, ada)
    second = await _refresh(auth, first.refresh_token)
    newest = second
    if aged == "the grace is over":
        await rows.execute(
            "UPDATE auth.refresh_tokens SET use_time = use_time - interval '11 seconds' WHERE user_id = %s AND use_time IS NOT NULL",
            (ada.user.id,),
        )
    else:
        newest = await _refresh(auth, second.refresh_token)
    assert await _refused(auth, first.refresh_token) == REFUSED
    for token in (first.refresh_token, second.refresh_token, newest.refresh_token):
        assert await _refused(auth, token) == REFUSED
    assert [await _me(users, tokens.access_token) for tokens in (first, second, newest, other)] == [VOID] * 3 + [(grpc.StatusCode.OK, "")]
    cursor = await rows.execute(
        "SELECT details->>'family_id' FROM auth.auth_audit_log WHERE actor = %s AND action = 'refresh' AND outcome = 'reused'",
        (ada.user.id,),
    )
    [(family,)] = await cursor.fetchall()
    assert [each.session_id for each in await _revocations(internal)].count(family) == 1


async def test_a_refresh_token_ends_with_its_time_and_its_user(
    auth: "AuthServiceAsyncStub", rows: psycopg.AsyncConnection, ada: Person, stranger: Person
) -> None:
    """An expired one, one of a disabled user and one that never was are answered alike; so is the disabled user's sign-in."""
    expired, disabled = await _login(auth, ada), await _login(auth, stranger)
    await rows.execute("UPDATE auth.refresh_tokens SET expire_time = now() WHERE user_id = %s", (ada.user.id,))
    await rows.execute("UPDATE auth.users SET is_active = false WHERE id = %s", (stranger.user.id,))
    for token in (expired.refresh_token, disabled.refresh_token, "smr_nonsense", "\u00e9"):
        assert await _refused(auth, token) == REFUSED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _login(auth, stranger)
    assert reason_of(caught.value) == "CREDENTIALS_WRONG"


@pytest.mark.abuse(5)
async def test_logout_ends_the_session_at_once(
    auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", internal: "AuthInternalServiceAsyncStub", ada: Person
) -> None:
    """Both tokens are void; saying it twice, or of a token that never was, is fine."""
    before = len(await _revocations(internal))
    tokens = await _login(auth, ada)
    for token in (tokens.refresh_token, tokens.refresh_token, "smr_nonsense"):
        await auth.Logout(auth_service_pb2.LogoutRequest(refresh_token=token))
    assert await _me(users, tokens.access_token) == VOID
    assert await _refused(auth, tokens.refresh_token) == REFUSED
    assert await _me(users, ada.token) == (grpc.StatusCode.OK, "")
    [revocation] = (await _revocations(internal))[before:]
    assert (revocation.user_id, bool(revocation.session_id)) == ("", True)


@pytest.mark.abuse(37)
@pytest.mark.parametrize("end", ["revoked", "logged out", "reused"])
async def test_a_session_that_ends_while_it_is_refreshed_has_ended(
    auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", ada: Person, end: str
) -> None:
    """Whichever of the two is first: no successor survives beside the end."""
    for _ in range(5):
        first = await _login(auth, ada)
        second = await _refresh(auth, first.refresh_token)
        session_id = (
            (await users.ListSessions(user_service_pb2.ListSessionsRequest(), metadata=_bearer(second.access_token))).sessions[0].id
        )
        third = await _refresh(auth, second.refresh_token)
        ending: Awaitable[object]
        if end == "revoked":
            ending = users.RevokeSession(user_service_pb2.RevokeSessionRequest(session_id=session_id), metadata=_bearer(ada.token))
        elif end == "logged out":
            ending = auth.Logout(auth_service_pb2.LogoutRequest(refresh_token=second.refresh_token))
        else:
            ending = auth.RefreshToken(auth_service_pb2.RefreshTokenRequest(refresh_token=first.refresh_token))
        refreshed, _ = await asyncio.gather(_refresh(auth, third.refresh_token), ending, return_exceptions=True)
        if isinstance(refreshed, session_pb2.Tokens):
            assert await _refused(auth, refreshed.refresh_token) == REFUSED
            assert await _me(users, refreshed.access_token) == VOID


async def test_sessions_are_listed_newest_first_and_ended_one_by_one(
    auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", ada: Person
) -> None:
    """A renewed session stays one; an ended one is not listed; ending it again changes nothing."""
    own = await _only_session(users, ada.token)
    later = [await _refresh(auth, (await _login(auth, ada)).refresh_token) for _ in range(2)]
    request = user_service_pb2.ListSessionsRequest(page_size=2)
    first = await users.ListSessions(request, metadata=_bearer(ada.token))
    request.page_token = first.next_page_token
    second = await users.ListSessions(request, metadata=_bearer(ada.token))
    listed = [*first.sessions, *second.sessions]
    assert (len(first.sessions), len(listed), second.next_page_token) == (2, 3, "")
    assert [(each.id == own, each.is_current) for each in listed] == [(False, False), (False, False), (True, True)]
    revoke = user_service_pb2.RevokeSessionRequest(session_id=listed[0].id)
    for _ in range(2):
        await users.RevokeSession(revoke, metadata=_bearer(ada.token))
    assert [await _me(users, tokens.access_token) for tokens in later] == [(grpc.StatusCode.OK, ""), VOID]
    left = await users.ListSessions(user_service_pb2.ListSessionsRequest(), metadata=_bearer(ada.token))
    assert [each.id for each in left.sessions] == [each.id for each in listed[1:]]


@pytest.mark.abuse(7)
async def test_another_users_session_does_not_exist(users: "UserServiceAsyncStub", ada: Person, stranger: Person) -> None:
    """It answers like an id nobody has, and lives on."""
    hers = await _only_session(users, ada.token)
    for session_id in (hers, str(uuid.uuid4())):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await users.RevokeSession(user_service_pb2.RevokeSessionRequest(session_id=session_id), metadata=_bearer(stranger.token))
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
        assert caught.value.details() == f"session {session_id} does not exist"
    assert await _me(users, ada.token) == (grpc.StatusCode.OK, "")


async def test_revocations_that_matter_are_listed_oldest_first_over_any_number_of_pages(
    internal: "AuthInternalServiceAsyncStub", rows: psycopg.AsyncConnection
) -> None:
    """Older ones than any living token are left out; one that commits late is in the next round, wherever it stands."""
    for name, age in (("late", "10 minutes"), ("newest", "0 minutes"), ("without meaning", "20 minutes"), ("oldest", "15 minutes")):
        await rows.execute(
            "INSERT INTO auth.revocations (session_id, not_before, reason) VALUES (%s, clock_timestamp() - %s::interval, 'test')",
            (name, age),
        )
    for page_size in (1, 2, 1000):
        found = await _revocations(internal, page_size)
        assert [each.session_id for each in found if each.session_id in {"late", "newest", "oldest", "without meaning"}] == [
            "oldest",
            "late",
            "newest",
        ]
        assert [each.not_before.ToNanoseconds() for each in found] == sorted(each.not_before.ToNanoseconds() for each in found)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await internal.ListRevocations(auth_internal_service_pb2.ListRevocationsRequest(page_token="forged"))
    assert reason_of(caught.value) == "PAGE_TOKEN_INVALID"
