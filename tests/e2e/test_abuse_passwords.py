"""Nobody guesses passwords for long."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import httpx
import psycopg
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.rpc.errors import reason_of
from semantik.auth.v1.auth_service_pb2 import LoginRequest, RegisterRequest
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from tests.conftest import PASSWORD, REGISTRATIONS, Person

pytestmark = pytest.mark.abuse(6, 39)
THROTTLED = ("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS", "too many wrong passwords; try again later")
WRONG = ("UNAUTHENTICATED", "CREDENTIALS_WRONG", "the username or the password is wrong")
LONGEST = 60
OLDER = "UPDATE auth.attempts SET create_time = create_time - %s * interval '1 second'"
# Where the database keeps the attempts of everybody on this computer.
HERE = "network:loopback"


async def _login(
    gateway: grpc.aio.Channel,
    name: str,
    password: str = "not the password",  # noqa: S107 - a wrong one
    refresh_token: str = "",
) -> tuple[str, str, str]:
    try:
        await AuthServiceStub(gateway).Login(LoginRequest(username=name, password=password, refresh_token=refresh_token))
    except grpc.aio.AioRpcError as error:
        _check_delay(error)
        return error.code().name, reason_of(error), error.details() or ""
    return "OK", "", ""


def _check_delay(error: grpc.aio.AioRpcError) -> None:
    """A refusal says when to come back, within a minute."""
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        assert 0 < _delay(error) <= LONGEST


def _delay(error: grpc.aio.AioRpcError) -> float:
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    assert status is not None
    seconds: float
    [seconds] = [retry.retry_delay.ToTimedelta().total_seconds() for detail in status.details if detail.Unpack(retry)]
    return seconds


@pytest.fixture(autouse=True)
async def _nobody_else_tried(rows: psycopg.AsyncConnection) -> AsyncIterator[None]:
    """All tests come from one computer, whose attempts count together."""
    await rows.execute("DELETE FROM auth.attempts")
    yield
    await rows.execute("DELETE FROM auth.attempts")


@pytest.mark.parametrize("spelling", ["username", "email"])
@pytest.mark.parametrize("known", [True, False], ids=["an account", "a name nobody has"])
async def test_after_ten_wrong_passwords_the_next_one_waits(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, rows: psycopg.AsyncConnection, ada: Person, known: bool, spelling: str
) -> None:
    """However many come at once, of a known and of an unknown name, on both faces; nobody is kept out for longer than a minute."""
    name = getattr(ada.user, spelling) if known else f"nobody.{getattr(ada.user, spelling)}"
    answers = await asyncio.gather(*(_login(gateway, name) for _ in range(16)))
    assert Counter(answers) == {WRONG: 10, THROTTLED: 6}
    assert await _login(gateway, name.upper(), PASSWORD) == THROTTLED
    answer = await http.post("/v1/auth:login", json={"username": name, "password": PASSWORD})
    assert (answer.status_code, int(answer.headers["retry-after"])) == (429, 1)
    await rows.execute(OLDER, (1,))
    assert await _login(gateway, name) == WRONG
    await rows.execute(OLDER, (1,))
    assert await _login(gateway, name, PASSWORD) == THROTTLED, "the delay did not grow"
    await rows.execute(OLDER, (1,))
    assert await _login(gateway, name, PASSWORD) == (("OK", "", "") if known else WRONG)


async def test_the_delay_ends_at_a_minute(gateway: grpc.aio.Channel, rows: psycopg.AsyncConnection, ada: Person) -> None:
    await asyncio.gather(*(_login(gateway, ada.user.username) for _ in range(10)))
    for _ in range(8):
        await rows.execute(OLDER, (LONGEST,))
        assert await _login(gateway, ada.user.username) == WRONG
    await rows.execute(OLDER, (LONGEST - 2,))
    assert await _login(gateway, ada.user.username, PASSWORD) == THROTTLED
    await rows.execute(OLDER, (2,))
    assert await _login(gateway, ada.user.username, PASSWORD) == ("OK", "", "")


async def test_a_stranger_cannot_keep_a_known_device_out(
    gateway: grpc.aio.Channel, rows: psycopg.AsyncConnection, ada: Person, stranger: Person
) -> None:
    """Whatever is wrong elsewhere, whoever shows a token of an own session, even an ended one, is let in; and guesses no faster."""
    assert ada.client.session.tokens is not None
    assert stranger.client.session.tokens is not None
    device, foreign = ada.client.session.tokens.refresh_token, stranger.client.session.tokens.refresh_token
    await ada.client.accounts.logout()
    name = ada.user.username
    await asyncio.gather(*(_login(gateway, name) for _ in range(16)))
    assert await _login(gateway, name, PASSWORD, foreign) == THROTTLED
    assert await _login(gateway, name, PASSWORD, "smr_made-up") == THROTTLED
    assert await _login(gateway, name, PASSWORD, device) == ("OK", "", "")
    answers = await asyncio.gather(*(_login(gateway, name, refresh_token=device) for _ in range(16)))
    assert Counter(answers) == {WRONG: 10, THROTTLED: 6}
    [[network]] = await (await rows.execute("SELECT count(*) FROM auth.attempts WHERE bucket = %s", (HERE,))).fetchall()
    assert network == 10, "a known device was counted with its network"


async def test_the_client_shows_its_earlier_session(ada: Person, gateway: grpc.aio.Channel) -> None:
    await asyncio.gather(*(_login(gateway, ada.user.username) for _ in range(16)))
    assert (await ada.client.accounts.login(ada.user.username, PASSWORD)).id == ada.user.id


async def test_right_passwords_are_not_counted(gateway: grpc.aio.Channel, ada: Person) -> None:
    """One may sign in as often as one likes."""
    assert [await _login(gateway, ada.user.username, PASSWORD) for _ in range(12)] == [("OK", "", "")] * 12


@pytest.mark.parametrize("bucket", [HERE, "the name"])
async def test_a_hundred_wrong_passwords_are_the_most_a_network_and_a_name_take(
    gateway: grpc.aio.Channel, rows: psycopg.AsyncConnection, ada: Person, bucket: str
) -> None:
    """Whoever tries one password on many accounts waits too, and so do many who try one account from everywhere."""
    await _login(gateway, ada.user.username)
    if bucket != HERE:
        found = await rows.execute("SELECT bucket FROM auth.attempts WHERE bucket LIKE 'name:%' AND bucket NOT LIKE '%@%'")
        [[bucket]] = await found.fetchall()
    await rows.execute("INSERT INTO auth.attempts (bucket) SELECT %s FROM generate_series(1, 99)", (bucket,))
    assert await _login(gateway, ada.user.username, PASSWORD) == THROTTLED
    await rows.execute(OLDER, (1,))
    assert await _login(gateway, ada.user.username, PASSWORD) == ("OK", "", "")


@pytest.mark.parametrize(
    "password",
    [
        "12345678",
        "password",
        "Passw0rd1",
        "\0" * 8,
        "qwertyuiop",
        "iloveyou2",
        "abcdefgh1234",
        "ada.the.first",
        "Ada.The.First1",
        "lovelace",
    ],
)
async def test_a_password_that_is_easy_to_guess_is_refused(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, rows: psycopg.AsyncConnection, password: str
) -> None:
    """Common ones, and what everybody knows of their user; nobody is registered, on both faces."""
    account = {"username": "ada.the.first", "email": "ada.the.first@example.org", "password": password, "full_name": "Augusta Lovelace"}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await AuthServiceStub(gateway).Register(RegisterRequest(**account))
    assert (refused.value.code().name, reason_of(refused.value)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    answer = await http.post("/v1/auth:register", json=account)
    assert answer.status_code == httpx.codes.BAD_REQUEST
    found = await rows.execute("SELECT count(*) FROM auth.users WHERE username = 'ada.the.first'")
    assert await found.fetchall() == [(0,)]


async def test_registrations_of_a_network_are_throttled(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, rows: psycopg.AsyncConnection, ada: Person
) -> None:
    """Also those that are refused, which tell who is registered; others sign in as before."""
    await rows.execute("INSERT INTO auth.attempts (bucket) SELECT 'register:loopback' FROM generate_series(2, %s)", (REGISTRATIONS,))
    account = {"username": ada.user.username, "email": "another@example.org", "password": PASSWORD}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await AuthServiceStub(gateway).Register(RegisterRequest(**account))
    assert (refused.value.code().name, reason_of(refused.value)) == ("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS")
    assert 0 < _delay(refused.value) <= 1
    assert (await http.post("/v1/auth:register", json=account)).status_code == httpx.codes.TOO_MANY_REQUESTS
    assert await _login(gateway, ada.user.username, PASSWORD) == ("OK", "", "")
    await rows.execute(OLDER, (1,))
    assert (await http.post("/v1/auth:register", json=account)).status_code == httpx.codes.CONFLICT
