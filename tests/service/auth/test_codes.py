"""Sign-in codes: a session signs its user in once more, elsewhere."""

import asyncio
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1 import auth_service_pb2 as messages
from semantik.auth.v1 import user_service_pb2
from tests.conftest import PASSWORD, Person

if TYPE_CHECKING:
    from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceAsyncStub
    from semantik.auth.v1.user_service_pb2_grpc import UserServiceAsyncStub


INVALID = "UNAUTHENTICATED SIGN_IN_CODE_INVALID"


async def _code(users: "UserServiceAsyncStub", access_token: str) -> str:
    bearer = [("authorization", f"Bearer {access_token}")]
    return str((await users.CreateSignInCode(user_service_pb2.CreateSignInCodeRequest(), metadata=bearer)).code)


async def _outcome(auth: "AuthServiceAsyncStub", code: str) -> str:
    try:
        return str((await auth.SignInWithCode(messages.SignInWithCodeRequest(code=code))).user.id)
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name} {reason_of(error)}"


@pytest.mark.abuse(3)
async def test_a_code_signs_in_once(auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", ada: Person) -> None:
    """Of many at the same time one gets in, as the user who made it and as a session of its own."""
    code = await _code(users, ada.token)
    outcomes = await asyncio.gather(*(_outcome(auth, code) for _ in range(8)))
    assert sorted(outcomes) == sorted([ada.user.id, *[INVALID] * 7])
    bearer = [("authorization", f"Bearer {ada.token}")]
    sessions = (await users.ListSessions(user_service_pb2.ListSessionsRequest(), metadata=bearer)).sessions
    assert len(sessions) == 2


async def test_a_new_code_replaces_the_one_before(auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", ada: Person) -> None:
    """A session has one at a time."""
    first, second = await _code(users, ada.token), await _code(users, ada.token)
    assert [await _outcome(auth, first), await _outcome(auth, second)] == [INVALID, ada.user.id]


@pytest.mark.abuse(3)
@pytest.mark.parametrize("end", ["it expires", "its session ends", "its user is disabled"])
async def test_a_code_ends(
    auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", rows: psycopg.AsyncConnection, ada: Person, end: str
) -> None:
    """With its time, its session and its user; the answer is one and the same."""
    tokens = (await auth.Login(messages.LoginRequest(username=ada.user.username, password=PASSWORD))).tokens
    code = await _code(users, tokens.access_token)
    if end == "it expires":
        await rows.execute("UPDATE auth.sign_in_codes SET expire_time = now() WHERE user_id = %s", (ada.user.id,))
    elif end == "its session ends":
        await auth.Logout(messages.LogoutRequest(refresh_token=tokens.refresh_token))
    else:
        await rows.execute("UPDATE auth.users SET is_active = false WHERE id = %s", (ada.user.id,))
    assert await _outcome(auth, code) == INVALID


@pytest.mark.abuse(3, 35)
@pytest.mark.parametrize("code", ["smc_", "smc_guess", "' OR 1=1 --", "\u00e9", "\x00"])
async def test_a_guess_is_no_code(auth: "AuthServiceAsyncStub", code: str) -> None:
    """Whatever it is spelled like."""
    assert await _outcome(auth, code) == INVALID


async def test_a_code_is_stored_as_a_hash(users: "UserServiceAsyncStub", rows: psycopg.AsyncConnection, ada: Person) -> None:
    """Who reads the database signs nobody in."""
    code = await _code(users, ada.token)
    [(stored,)] = await (await rows.execute("SELECT code_hash FROM auth.sign_in_codes WHERE user_id = %s", (ada.user.id,))).fetchall()
    assert code not in stored


@pytest.mark.usefixtures("ada")
async def test_who_is_not_signed_in_learns_how_to(auth: "AuthServiceAsyncStub") -> None:
    """Registration is open here, and somebody is registered."""
    options = await auth.GetSignInOptions(messages.GetSignInOptionsRequest())
    assert options == messages.GetSignInOptionsResponse(registration_open=True, first_user=False)
