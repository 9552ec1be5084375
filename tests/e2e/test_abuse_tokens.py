"""Whoever has no token, or not a good one, gets nowhere: through the gateway, past it, and on both faces."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from google.protobuf.descriptor import MethodDescriptor
from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.supervisor import Mesh
from libs.rpc.mesh import new_key
from semantik.auth.v1.auth_service_pb2 import LoginRequest, RegisterRequest
from semantik.auth.v1.auth_service_pb2_grpc import AuthServiceStub
from semantik.auth.v1.user_pb2 import User
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub
from semantik.collection.v1.collection_service_pb2 import CreateCollectionRequest
from tests.conftest import PASSWORD, Person
from tests.e2e.faces import INTERNAL, PUBLIC, Refusal, empty, method, on_both, over_grpc, refusal_of

GUARDED = [each for each in PUBLIC if each.containing_service.name != "AuthService"]
PAST_THE_GATEWAY = Refusal("UNAUTHENTICATED", "CREDENTIALS_MISSING", "this service answers clients through the gateway alone")
NO_ROUTE = ("NOT_FOUND", "ROUTE_NOT_FOUND")
WHO = ("auth.v1.UserService.GetMe", "collection.v1.CollectionService.ListCollections")


def _name(of: MethodDescriptor) -> str:
    return f"{of.containing_service.name}.{of.name}"


@pytest.mark.abuse(1)
@pytest.mark.parametrize("of", GUARDED, ids=_name)
async def test_no_token_is_unauthenticated_everywhere(gateway: grpc.aio.Channel, http: httpx.AsyncClient, of: MethodDescriptor) -> None:
    """Every public RPC but those that hand out tokens asks who calls before it looks at the request."""
    assert (await on_both(gateway, http, of, empty(of))).why == ("UNAUTHENTICATED", "CREDENTIALS_MISSING")


@pytest.mark.abuse(10)
@pytest.mark.parametrize("of", INTERNAL, ids=_name)
async def test_an_internal_rpc_is_for_the_mesh_only(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, port_of: Callable[[str], int], ada: Person, of: MethodDescriptor
) -> None:
    """Through the gateway it does not exist; past the gateway a user's token is no mesh token."""
    path = f"/{of.containing_service.full_name}/{of.name}"
    bearer = f"Bearer {ada.token}"
    assert (await over_grpc(gateway, of, empty(of), authorization=bearer)).code == "UNIMPLEMENTED"
    assert refusal_of(await http.post(path, json={}, headers=ada.headers)).why == NO_ROUTE
    service = of.containing_service.full_name.split(".")[1]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port_of(service)}") as direct:
        refused = await over_grpc(direct, of, empty(of), authorization=bearer)
    assert refused.why == ("UNAUTHENTICATED", "TOKEN_INVALID")


@pytest.mark.parametrize("of", PUBLIC, ids=_name)
async def test_past_the_gateway_nobody_is_a_client(port_of: Callable[[str], int], ada: Person, of: MethodDescriptor) -> None:
    """A service believes neither tokens nor addresses that come to its own port, whatever proof is made up."""
    service = of.containing_service.full_name.split(".")[1]
    bearer = f"Bearer {ada.token}"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port_of(service)}") as direct:
        for headers in (
            {"authorization": bearer},
            {"authorization": bearer, "x_gateway_proof": "", "x_client_address": "10.1.2.3"},
            {"authorization": bearer, "x_gateway_proof": "0" * 64},
        ):
            assert await over_grpc(direct, of, empty(of), **headers) == PAST_THE_GATEWAY


def _claims(user_id: str, **changes: Any) -> dict[str, Any]:
    now = time.time()
    good = {"iss": "semantik", "aud": "semantik", "sub": user_id, "sid": "s", "role": "ADMIN", "iat": now, "exp": now + 600}
    return good | changes


def _signed(key: ECKey, claims: dict[str, Any], **header: Any) -> str:
    return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": str(key.kid)} | header, claims, key, algorithms=["ES256"])


def _coded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def _unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return f"{_coded(json.dumps(header).encode())}.{_coded(json.dumps(claims).encode())}."


def _hashed(header: dict[str, Any], claims: dict[str, Any], secret: bytes) -> str:
    text = _unsigned(header, claims)
    return text + _coded(hmac.digest(secret, text.removesuffix(".").encode(), "sha256"))


def _forgeries(user_id: str, key_file: Path) -> dict[str, str]:
    """Return tokens none of which may open anything, though all but a few differ from a good one in one point."""
    pem = key_file.read_bytes()
    ours, foreign = ECKey.import_key(pem), ECKey.import_key(new_key())
    ours.ensure_kid()
    foreign.ensure_kid()
    public = load_pem_private_key(pem, None).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    good = _claims(user_id)
    genuine = _signed(ours, good)
    head, body, signature = genuine.split(".")
    return {
        "nothing": "",
        "malformed": "abc.def",
        "not base64": "a.b.c!",
        "huge": "x" * 5000,
        "expired": _signed(ours, _claims(user_id, exp=time.time() - 60)),
        "from the future": _signed(ours, _claims(user_id, iat=time.time() + 3600, exp=time.time() + 7200)),
        "without an end": _signed(ours, {name: value for name, value in good.items() if name != "exp"}),
        "for somebody else": _signed(ours, _claims(user_id, aud="another")),
        "from somebody else": _signed(ours, _claims(user_id, iss="another")),
        "of an unknown role": _signed(ours, _claims(user_id, role="ROOT")),
        "alg none": _unsigned({"alg": "none", "typ": "at+jwt", "kid": str(ours.kid)}, good),
        "HS256 with the public key": _hashed({"alg": "HS256", "typ": "at+jwt", "kid": str(ours.kid)}, good, public),
        "a foreign key under our id": _signed(foreign, good, kid=str(ours.kid)),
        "a foreign key": _signed(foreign, good),
        "a jwk header": _signed(foreign, good, jwk=foreign.as_dict(private=False)),
        "a jku header": _signed(ours, good, jku="http://127.0.0.1:1/keys"),
        "another type": _signed(ours, good, typ="mesh+jwt"),
        "a body exchanged": ".".join([head, _unsigned({}, _claims(SOMEBODY)).split(".")[1], signature]),
        "no signature": f"{head}.{body}.",
    }


SOMEBODY = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.abuse(1, 2)
async def test_a_forged_token_is_unauthenticated(mesh: Mesh, gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person) -> None:
    """Whatever is wrong with a token, the answer is the same word for word; the pattern itself is good."""
    key_file = mesh.home.keys / "signing" / "current.pem"
    ours = ECKey.import_key(key_file.read_bytes())
    ours.ensure_kid()
    me = method(WHO[0])
    assert (await on_both(gateway, http, me, GetMeRequest(), authorization=f"Bearer {_signed(ours, _claims(ada.user.id))}")).code == "OK"
    expected = Refusal("UNAUTHENTICATED", "TOKEN_INVALID", "the access token is not valid")
    for name, token in _forgeries(ada.user.id, key_file).items():
        for of in map(method, WHO):
            refused = await on_both(gateway, http, of, empty(of), authorization=f"Bearer {token}" if token else "Bearer x")
            assert refused == expected, name
    for scheme in (f"Basic {ada.token}", ada.token, "Bearer"):
        assert await on_both(gateway, http, me, GetMeRequest(), authorization=scheme) == expected, scheme


@pytest.mark.abuse(2)
async def test_a_mesh_token_is_no_access_token(gateway: grpc.aio.Channel, http: httpx.AsyncClient, mesh_key: bytes) -> None:
    """What services show each other opens no public RPC."""
    key = ECKey.import_key(mesh_key)
    key.ensure_kid()
    token = _signed(key, _claims(SOMEBODY, aud="auth", iss="search"), typ="mesh+jwt")
    refused = await on_both(gateway, http, method(WHO[0]), GetMeRequest(), authorization=f"Bearer {token}")
    assert refused.why == ("UNAUTHENTICATED", "TOKEN_INVALID")


CLAIMS = {
    "x-user-id": SOMEBODY,
    "x-principal": SOMEBODY,
    "x-role": "ADMIN",
    "x-user-role": "ADMIN",
    "x-client-address": "10.9.8.7",
    "x-forwarded-for": "10.9.8.7",
    "x-real-ip": "10.9.8.7",
    "forwarded": "for=10.9.8.7",
}


@pytest.mark.abuse(9)
async def test_nobody_is_somebody_else_by_a_header(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, rows: psycopg.AsyncConnection, ada: Person, stranger: Person
) -> None:
    """Headers that name a user or a role are not believed, on either face."""
    claims = CLAIMS | {"x-user-id": stranger.user.id, "x-principal": stranger.user.id}
    answer = await http.get("/v1/users/me", headers={**ada.headers, **claims})
    assert answer.json()["user"]["id"] == ada.user.id
    metadata = tuple((_bearer(ada) | claims).items())
    assert (await UserServiceStub(gateway).GetMe(GetMeRequest(), metadata=metadata)).user.id == ada.user.id
    await rows.execute("UPDATE auth.users SET role = 'GUEST' WHERE id = %s", (stranger.user.id,))
    await stranger.client.accounts.login(stranger.user.username, PASSWORD)
    headers = {name.replace("-", "_"): value for name, value in (_bearer(stranger) | claims).items()}
    for of in (each for each in GUARDED if each.containing_service.name != "UserService"):
        assert (await on_both(gateway, http, of, empty(of), **headers)).why == ("PERMISSION_DENIED", "ROLE_REQUIRED"), of.full_name


@pytest.mark.abuse(9)
async def test_nobody_is_somebody_else_by_a_field(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, stranger: Person
) -> None:
    """JSON that names an owner or a role is refused; gRPC keeps unknown fields apart, and the owner is the caller whatever they say."""
    body = {"name": "mine", "ownerId": stranger.user.id}
    assert (await http.post("/v1/collections", json=body, headers=ada.headers)).status_code == httpx.codes.BAD_REQUEST
    request = CreateCollectionRequest(name="mine")
    request.MergeFromString(b"\xa2\x06\x24" + stranger.user.id.encode())
    of = method("collection.v1.CollectionService.CreateCollection")
    assert (await over_grpc(gateway, of, request, **_bearer(ada))).code == "OK"
    assert [each.owner_id async for each in ada.client.collections.list(owned_only=True)] == [ada.user.id]
    assert [each async for each in stranger.client.collections.list(owned_only=True)] == []

    account = {"username": "claims.a.role", "email": "claims.a.role@example.org", "password": PASSWORD}
    answer = await http.post("/v1/auth:register", json=account | {"role": "ROLE_ADMIN"})
    assert answer.status_code == httpx.codes.BAD_REQUEST
    registration = RegisterRequest(**account)
    registration.MergeFromString(b"\x28" + bytes([User.ROLE_ADMIN]) + b"\xa0\x06" + bytes([User.ROLE_ADMIN]))
    assert (await AuthServiceStub(gateway).Register(registration)).user.role == User.ROLE_POWER_USER


@pytest.mark.abuse(9)
async def test_the_address_kept_is_the_one_the_gateway_saw(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person) -> None:
    """No header of the client gets into what is kept about its session, by either face."""
    account = {"username": ada.user.username, "password": PASSWORD}
    assert (await http.post("/v1/auth:login", json=account, headers=CLAIMS)).status_code == httpx.codes.OK
    await AuthServiceStub(gateway).Login(LoginRequest(**account), metadata=tuple(CLAIMS.items()))
    assert [each.address for each in await ada.client.accounts.sessions()] == ["127.0.0.1"] * 3


def _bearer(person: Person) -> dict[str, str]:
    return {"authorization": f"Bearer {person.token}"}


@pytest.mark.abuse(29)
@pytest.mark.parametrize("path", ["/semantik.auth.v1.UserService/Nothing", "/semantik.nothing.v1.NothingService/Do"])
async def test_what_does_not_exist_is_unimplemented(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, path: str) -> None:
    """Unknown services and methods answer alike, with a token as without; JSON says 404."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await gateway.unary_unary(path)(b"", metadata=tuple(_bearer(ada).items()))  # type: ignore[arg-type]
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert refusal_of(await http.post(path, json={}, headers=ada.headers)).why == NO_ROUTE


@pytest.mark.abuse(29)
@pytest.mark.parametrize(
    ("verb", "path", "body", "status", "why"),
    [
        ("TRACE", "/v1/users/me", None, 405, ("UNIMPLEMENTED", "ROUTE_NOT_FOUND")),
        ("GET", "/v1/users/me?nonsense=1", None, 400, ("INVALID_ARGUMENT", "INVALID_REQUEST")),
        ("POST", "/v1/collections", {"name": "a", "nonsense": 1}, 400, ("INVALID_ARGUMENT", "INVALID_REQUEST")),
        ("GET", "/v1/nothing", None, 404, NO_ROUTE),
    ],
)
async def test_json_that_is_not_of_the_contract_is_refused(
    http: httpx.AsyncClient, ada: Person, verb: str, path: str, body: dict[str, Any] | None, status: int, why: tuple[str, str]
) -> None:
    """Fields, parameters, routes and verbs that nobody defined are refused, not ignored."""
    answer = await http.request(verb, path, json=body, headers=ada.headers)
    assert (answer.status_code, refusal_of(answer).why) == (status, why)
    assert [each async for each in ada.client.collections.list(owned_only=True)] == []
