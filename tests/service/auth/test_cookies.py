"""Sessions of pages in a browser: the refresh token is where no script reads it."""

import re
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1 import auth_service_pb2 as messages
from semantik.auth.v1 import user_service_pb2
from tests.conftest import PASSWORD, Person

if TYPE_CHECKING:
    from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceAsyncStub
    from semantik.auth.v1.user_service_pb2_grpc import UserServiceAsyncStub

PAGE = ("x-session-transport", "cookie")


async def _cookie(call: "grpc.aio.UnaryUnaryCall[Any, Any]") -> str:
    """Return the cookie that an answer sets."""
    return str(dict(await call.initial_metadata())["set-cookie"])


def _pair(cookie: str) -> str:
    return cookie.partition(";")[0]


async def _login(auth: "AuthServiceAsyncStub", person: Person) -> tuple[messages.LoginResponse, str]:
    call = auth.Login(messages.LoginRequest(username=person.user.username, password=PASSWORD), metadata=[PAGE])
    return await call, await _cookie(call)


async def test_a_page_gets_its_refresh_token_in_a_cookie_only(auth: "AuthServiceAsyncStub", ada: Person) -> None:
    """Scripts cannot read it, foreign pages cannot have it sent, and only what exchanges it sees it."""
    answer, cookie = await _login(auth, ada)
    assert answer.tokens.refresh_token == ""
    assert answer.tokens.access_token
    rules = r"Path=/semantik\.auth\.v1\.AuthService; Max-Age=(\d+); HttpOnly; SameSite=Strict"
    matched = re.fullmatch(r"semantik-session-[0-9a-f]{12}=smr_[\w-]{40,}; " + rules, cookie)
    assert matched
    assert 2_590_000 < int(matched[1]) <= 2_592_000


async def test_the_cookie_is_exchanged_and_ends_with_the_session(
    auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub", ada: Person
) -> None:
    """As a page does it: sign in, renew, sign out."""
    _, first = await _login(auth, ada)
    call = auth.RefreshToken(messages.RefreshTokenRequest(), metadata=[PAGE, ("cookie", f"theme=dark; {_pair(first)}")])
    tokens, second = (await call).tokens, await _cookie(call)
    assert tokens.refresh_token == ""
    assert _pair(second) != _pair(first)
    bearer = [("authorization", f"Bearer {tokens.access_token}")]
    assert (await users.GetMe(user_service_pb2.GetMeRequest(), metadata=bearer)).user.id == ada.user.id
    ended = auth.Logout(messages.LogoutRequest(), metadata=[PAGE, ("cookie", _pair(second))])
    await ended
    assert re.fullmatch(r"semantik-session-\w+=; .*; Max-Age=0; HttpOnly; SameSite=Strict", await _cookie(ended))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.RefreshToken(messages.RefreshTokenRequest(), metadata=[PAGE, ("cookie", _pair(second))])
    assert reason_of(caught.value) == "REFRESH_TOKEN_INVALID"


@pytest.mark.abuse(3)
@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [PAGE],
        [("x-session-transport", "Cookie")],
        [("x-session-transport", "")],
    ],
)
async def test_a_cookie_alone_renews_nothing(auth: "AuthServiceAsyncStub", ada: Person, metadata: list[tuple[str, str]]) -> None:
    """A foreign page can make a browser send cookies, but not this header."""
    _, cookie = await _login(auth, ada)
    shown = [*metadata, *([] if metadata == [PAGE] else [("cookie", _pair(cookie))])]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.RefreshToken(messages.RefreshTokenRequest(), metadata=shown)
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.UNAUTHENTICATED, "REFRESH_TOKEN_INVALID")
    # It was not used up either.
    await auth.RefreshToken(messages.RefreshTokenRequest(), metadata=[PAGE, ("cookie", _pair(cookie))])


@pytest.mark.abuse(3, 35)
@pytest.mark.parametrize("cookie", ["", ";;;=", "a=b; {name}", "{name}=", '{name}="', "{name}=\\x00", "{name}=a, {name}=b", "x" * 8000])
async def test_a_malformed_cookie_is_a_refusal(auth: "AuthServiceAsyncStub", ada: Person, cookie: str) -> None:
    """Never an error of the service."""
    _, real = await _login(auth, ada)
    shown = cookie.replace("{name}", real.partition("=")[0])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.RefreshToken(messages.RefreshTokenRequest(), metadata=[PAGE, ("cookie", shown)])
    assert reason_of(caught.value) == "REFRESH_TOKEN_INVALID"


@pytest.mark.abuse(9)
async def test_a_foreign_origin_may_not_ask_for_the_cookie(http: httpx.AsyncClient) -> None:
    """The browser asks first, and the gateway does not allow the header."""
    headers = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
    headers["access-control-request-headers"] = "x-session-transport"
    response = await http.options("/semantik.auth.v1.AuthService/RefreshToken", headers=headers)
    assert "access-control-allow-origin" not in response.headers


async def test_a_program_still_gets_its_refresh_token(auth: "AuthServiceAsyncStub", ada: Person) -> None:
    """In the message, and no cookie."""
    call = auth.Login(messages.LoginRequest(username=ada.user.username, password=PASSWORD))
    assert (await call).tokens.refresh_token.startswith("smr_")
    assert "set-cookie" not in dict(await call.initial_metadata())
