"""A session that is ended while it is refreshed has ended, whichever way it ends and by whichever face."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import httpx
import psycopg
import pytest

from semantik.auth.v1.auth_service_pb2 import LoginRequest, LogoutRequest, RefreshTokenRequest
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from semantik.auth.v1.session_pb2 import Tokens
from semantik.auth.v1.user_service_pb2 import GetMeRequest, ListSessionsRequest, RevokeSessionRequest
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub
from tests.conftest import PASSWORD, REPEATS, Person
from tests.e2e.faces import method, over_grpc, over_http

RACES = 10 * REPEATS
SIDE_BY_SIDE = 4
REFRESHES = 2
REFRESH, ME = method("auth.v1.AuthService.RefreshToken"), method("auth.v1.UserService.GetMe")
LOGOUT, REVOKE = method("auth.v1.AuthService.Logout"), method("auth.v1.UserService.RevokeSession")
ENDED = ("UNAUTHENTICATED", "REFRESH_TOKEN_INVALID")
VOID = ("UNAUTHENTICATED", "TOKEN_INVALID")


@dataclass(frozen=True)
class Renewed:
    """A session that was renewed twice: its refresh tokens, oldest first."""

    id: str
    tokens: list[Tokens]


class Racer:
    """Sessions of one user, refreshed and ended at once by both faces in turn."""

    def __init__(self, person: Person, gateway: grpc.aio.Channel, http: httpx.AsyncClient) -> None:
        self._person = person
        self._gateway, self._http = gateway, http
        self._auth, self._users = AuthServiceStub(gateway), UserServiceStub(gateway)
        self._turns = itertools.count()

    async def session(self) -> Renewed:
        account = LoginRequest(username=self._person.user.username, password=PASSWORD)
        tokens = [(await self._auth.Login(account)).tokens]
        for _ in range(REFRESHES):
            tokens.append(await self.refresh(tokens[-1].refresh_token))
        metadata = (("authorization", f"Bearer {tokens[-1].access_token}"),)
        sessions = (await self._users.ListSessions(ListSessionsRequest(page_size=1000), metadata=metadata)).sessions
        [current] = [each.id for each in sessions if each.is_current]
        return Renewed(current, tokens)

    async def refresh(self, token: str) -> Tokens:
        return (await self._auth.RefreshToken(RefreshTokenRequest(refresh_token=token))).tokens

    async def end(self, session: Renewed, how: str) -> None:
        first, *_, last = session.tokens
        bearer = last.access_token if how == "revoked by itself" else self._person.token
        of, request = {
            "revoked by another": (REVOKE, RevokeSessionRequest(session_id=session.id)),
            "revoked by itself": (REVOKE, RevokeSessionRequest(session_id=session.id)),
            "signed out": (LOGOUT, LogoutRequest(refresh_token=last.refresh_token)),
            "signed out with an old token": (LOGOUT, LogoutRequest(refresh_token=session.tokens[1].refresh_token)),
            "an old token used again": (REFRESH, RefreshTokenRequest(refresh_token=first.refresh_token)),
        }[how]
        if next(self._turns) % 2:
            await over_http(self._http, of, request, authorization=f"Bearer {bearer}")
        else:
            await over_grpc(self._gateway, of, request, authorization=f"Bearer {bearer}")

    async def race(self, how: str) -> int:
        """Refresh a session while it is ended; return how many of its tokens work afterwards."""
        session = await self.session()
        token = session.tokens[-1].refresh_token
        refreshed, again, _ = await asyncio.gather(self.refresh(token), self.refresh(token), self.end(session, how), return_exceptions=True)
        successors = [each for each in (refreshed, again) if isinstance(each, Tokens)]
        return await self.survivors([*session.tokens[-1:], *successors])

    async def survivors(self, tokens: list[Tokens]) -> int:
        count = 0
        for each in tokens:
            renewed = await over_grpc(self._gateway, REFRESH, RefreshTokenRequest(refresh_token=each.refresh_token))
            seen = await over_grpc(self._gateway, ME, GetMeRequest(), authorization=f"Bearer {each.access_token}")
            count += (renewed.why, seen.why) != (ENDED, VOID)
        return count


KINDS = ("revoked by another", "revoked by itself", "signed out", "signed out with an old token", "an old token used again")


@pytest.mark.abuse(37)
@pytest.mark.parametrize("how", KINDS)
async def test_no_session_outlives_its_end(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, how: str, record_property: Callable[[str, object], None]
) -> None:
    """However close the two are."""
    racer = Racer(ada, gateway, http)
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def race() -> int:
        async with gate:
            return await racer.race(how)

    survivors = sum(await asyncio.gather(*(race() for _ in range(RACES))))
    record_property("variants", RACES)
    assert survivors == 0


@pytest.mark.abuse(5, 37)
async def test_no_session_outlives_its_user(
    gateway: grpc.aio.Channel,
    http: httpx.AsyncClient,
    rows: psycopg.AsyncConnection,
    person: Callable[[], Awaitable[Person]],
    record_property: Callable[[str, object], None],
) -> None:
    """Of all sessions that are refreshed while their user is disabled, none can be refreshed afterwards."""
    user = await person()
    racer = Racer(user, gateway, http)
    sessions = [await racer.session() for _ in range(RACES)]

    async def disable() -> None:
        await rows.execute("UPDATE auth.users SET is_active = false WHERE id = %s", (user.user.id,))
        await rows.execute(
            "INSERT INTO auth.revocations (user_id, not_before, reason) VALUES (%s, clock_timestamp(), 'disabled')", (user.user.id,)
        )

    refreshes = [racer.refresh(each.tokens[-1].refresh_token) for each in sessions]
    half = len(refreshes) // 2
    results = await asyncio.gather(*refreshes[:half], disable(), *refreshes[half:], return_exceptions=True)
    record_property("variants", RACES)
    tokens = [each for each in results if isinstance(each, Tokens)] + [each.tokens[-1] for each in sessions]
    renewed = [await over_grpc(gateway, REFRESH, RefreshTokenRequest(refresh_token=each.refresh_token)) for each in tokens]
    assert {each.why for each in renewed} == {ENDED}
