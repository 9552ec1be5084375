"""Registering, signing in, and what users see of themselves."""

import json
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1 import auth_internal_service_pb2, auth_service_pb2, user_pb2, user_service_pb2
from tests.conftest import PASSWORD, Person

if TYPE_CHECKING:
    from semantik.auth.v1.auth_internal_service_pb2_grpc import AuthInternalServiceAsyncStub
    from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceAsyncStub
    from semantik.auth.v1.user_service_pb2_grpc import UserServiceAsyncStub


def _register(**fields: str) -> auth_service_pb2.RegisterRequest:
    return auth_service_pb2.RegisterRequest(**{"username": "grace", "email": "grace@example.org", "password": PASSWORD} | fields)


async def test_a_new_user_is_signed_in_with_the_default_role(auth: "AuthServiceAsyncStub", users: "UserServiceAsyncStub") -> None:
    """Names are folded, and the tokens that come along work."""
    answer = await auth.Register(_register(username="Hedy.L", email="Hedy@Example.org", full_name="Hedy Lamarr"))
    user = answer.user
    assert (user.username, user.email, user.full_name) == ("hedy.l", "hedy@example.org", "Hedy Lamarr")
    assert (user.role, user.is_active) == (user_pb2.User.ROLE_POWER_USER, True)
    me = await users.GetMe(user_service_pb2.GetMeRequest(), metadata=(("authorization", f"Bearer {answer.tokens.access_token}"),))
    assert me.user.id == user.id


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"username": "ab"}, "username"),
        ({"username": "a" * 65}, "username"),
        ({"username": "-dash"}, "username"),
        ({"username": "with space"}, "username"),
        ({"username": "caf\u00e9s"}, "username"),
        ({"username": "a\u200bbc"}, "username"),
        ({"email": "nobody"}, "email"),
        ({"email": "a" * 250 + "@b.org"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 201}, "password"),
        ({"full_name": "a\x00b"}, "full_name"),
        ({"full_name": "a\u202eb"}, "full_name"),
        ({"full_name": "a\nb"}, "full_name"),
    ],
)
async def test_a_registration_that_breaks_a_rule_names_the_field(auth: "AuthServiceAsyncStub", fields: dict[str, str], field: str) -> None:
    """The first rule broken is told by the name of its field."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auth.Register(_register(**fields))
    assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert (caught.value.details() or "").startswith(f"{field}: ")


async def test_names_and_addresses_are_taken_once(auth: "AuthServiceAsyncStub", ada: Person) -> None:
    """In any spelling."""
    name = ada.user.username
    for taken in (
        _register(username=name.upper(), email="other@example.org"),
        _register(username="someone.else", email=ada.user.email.title()),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await auth.Register(taken)
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.ALREADY_EXISTS, "USER_EXISTS")


async def test_a_user_signs_in_by_name_or_address(auth: "AuthServiceAsyncStub", ada: Person) -> None:
    """In any case of letters; the time of it is kept."""
    for name in (ada.user.username, ada.user.username.upper(), ada.user.email, ada.user.email.upper()):
        answer = await auth.Login(auth_service_pb2.LoginRequest(username=name, password=PASSWORD))
        assert answer.user.id == ada.user.id
        assert answer.user.HasField("last_login_time")


@pytest.mark.abuse(6)
async def test_every_wrong_sign_in_is_answered_alike(auth: "AuthServiceAsyncStub", ada: Person) -> None:
    """Nobody can find out by signing in who has an account."""
    said = set()
    for name, password in ((ada.user.username, "wrong password"), ("nobody.here", PASSWORD), ("nobody@example.org", PASSWORD)):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await auth.Login(auth_service_pb2.LoginRequest(username=name, password=password))
        said.add((caught.value.code(), reason_of(caught.value), caught.value.details()))
    assert said == {(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_WRONG", "the username or the password is wrong")}


async def test_the_keys_are_public_and_their_secrets_are_not(
    auth: "AuthServiceAsyncStub", internal: "AuthInternalServiceAsyncStub", http: httpx.AsyncClient
) -> None:
    """The same set by both doors and over JSON, without a private part."""
    public = (await auth.GetJwks(auth_service_pb2.GetJwksRequest())).data
    inside = (await internal.GetVerificationKeys(auth_internal_service_pb2.GetVerificationKeysRequest())).jwks
    over_json = (await http.get("/.well-known/jwks.json")).content
    assert public.decode() == inside == over_json.decode()
    keys = json.loads(public)["keys"]
    assert len(keys) == 2
    for key in keys:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
