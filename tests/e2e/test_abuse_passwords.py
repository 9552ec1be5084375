"""Nobody guesses passwords for long."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable

import grpc
import httpx
import psycopg
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from libs.rpc.errors import reason_of
from semantik.auth.v1.auth_service_pb2 import LoginRequest
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from tests.conftest import PASSWORD, Person

THROTTLED = ("RESOURCE_EXHAUSTED", "TOO_MANY_ATTEMPTS", "too many wrong passwords; try again later")
WRONG = ("UNAUTHENTICATED", "CREDENTIALS_WRONG", "the username or the password is wrong")
WINDOW = 15 * 60


async def _login(gateway: grpc.aio.Channel, name: str, password: str = "not the password") -> tuple[str, str, str]:  # noqa: S107 - a wrong one
    try:
        await AuthServiceStub(gateway).Login(LoginRequest(username=name, password=password))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
            retry = error_details_pb2.RetryInfo()
            status = rpc_status.from_call(error)
            assert status is not None
            [delay] = [retry.retry_delay.ToTimedelta().total_seconds() for detail in status.details if detail.Unpack(retry)]
            assert 0 < delay <= WINDOW
        return error.code().name, reason_of(error), error.details() or ""
    return "OK", "", ""


@pytest.mark.parametrize("known", [True, False], ids=["an account", "a name nobody has"])
async def test_ten_wrong_passwords_are_the_most_an_account_takes(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, rows: psycopg.AsyncConnection, ada: Person, known: bool
) -> None:
    """However many come at once, by either of its names; then not even the right one, on both faces, until time has passed."""
    name = ada.user.username if known else f"nobody.{ada.user.username}"
    names = [name, ada.user.email if known else name]
    answers = await asyncio.gather(*(_login(gateway, names[number % 2]) for number in range(16)))
    assert Counter(answers) == {WRONG: 10, THROTTLED: 6}
    assert await _login(gateway, name, PASSWORD) == THROTTLED
    answer = await http.post("/v1/auth:login", json={"username": name, "password": PASSWORD})
    assert (answer.status_code, 0 < math.ceil(float(answer.headers["retry-after"])) <= WINDOW) == (429, True)
    # All of the attempts above, and nobody else's, are now fifteen minutes old.
    await rows.execute(
        "UPDATE auth.auth_audit_log SET create_time = create_time - interval '15 minutes'"
        " WHERE action = 'login' AND outcome = 'refused' AND (actor = %s OR actor LIKE 'unknown:%%')",
        (ada.user.id,),
    )
    assert await _login(gateway, name, PASSWORD) == (("OK", "", "") if known else WRONG)


async def test_right_passwords_are_not_counted(gateway: grpc.aio.Channel, ada: Person) -> None:
    """One may sign in as often as one likes."""
    assert [await _login(gateway, ada.user.username, PASSWORD) for _ in range(12)] == [("OK", "", "")] * 12


async def test_a_hundred_wrong_passwords_are_the_most_an_address_takes(
    gateway: grpc.aio.Channel, rows: psycopg.AsyncConnection, person: Callable[[], Awaitable[Person]]
) -> None:
    """Whoever tries one password on many accounts is stopped too."""
    someone = await person()
    await rows.execute(
        "INSERT INTO auth.auth_audit_log (id, actor, action, outcome, address, user_agent, correlation_id, details)"
        " SELECT 'spray-' || n, 'spray-' || n, 'login', 'refused', '127.0.0.1', '', '', '{}' FROM generate_series(1, 100) n"
    )
    try:
        assert await _login(gateway, someone.user.username, PASSWORD) == THROTTLED
    finally:
        await rows.execute("DELETE FROM auth.auth_audit_log WHERE actor LIKE 'spray-%'")
    assert await _login(gateway, someone.user.username, PASSWORD) == ("OK", "", "")
