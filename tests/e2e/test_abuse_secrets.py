"""After all other tests: no log, command line, foreign environment or table of the mesh holds a secret of it or of a test."""

import os
import stat
from pathlib import Path

import grpc
import httpx
import psutil
import psycopg
import pytest

from deploy.local.supervisor import Mesh
from semantik.auth.v1.auth_service_pb2 import LoginRequest, LogoutRequest, RefreshTokenRequest, RegisterRequest
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from tests.conftest import PASSWORD, Person
from tests.e2e.faces import method, on_both
from tests.e2e.secrets import Secrets, bodies


@pytest.fixture
def secrets(mesh: Mesh, held_tokens: set[str]) -> Secrets:
    """Everything that this run knows and nobody should read."""
    keys = {path.name: path.read_text() for path in mesh.home.keys.rglob("*") if path.is_file()}
    named = {name: bodies(text) if "PRIVATE KEY" in text else text.strip() for name, text in keys.items()}
    assert {"mesh.pem", "current.pem", "redis-password", "qdrant-api-key", "operator"} <= set(named)
    return Secrets({**named, "the password of every test": PASSWORD}, held_tokens)


def _processes(mesh: Mesh) -> list[psutil.Process]:
    own = [psutil.Process(child.pid) for child in mesh.children if child.pid]
    return [each for process in own for each in (process, *process.children(recursive=True))]


@pytest.mark.abuse(40)
@pytest.mark.last
def test_no_log_holds_a_secret(mesh: Mesh, secrets: Secrets) -> None:
    """Whatever the tests before this one sent, and wherever a service failed on it."""
    logs = [path for path in mesh.home.logs.rglob("*") if path.is_file()]
    assert {"auth.log", "envoy.log", "collection.log", "worker.log"} <= {path.name for path in logs}
    assert {path.name: found for path in logs if (found := secrets.found_in(path.read_bytes()))} == {}


@pytest.mark.abuse(40)
@pytest.mark.last
def test_no_process_shows_a_secret(mesh: Mesh, secrets: Secrets) -> None:
    """Neither to those who list processes nor to another account under which one of them runs."""
    found, readable = {}, {}
    for process in _processes(mesh):
        place = Path("/proc") / str(process.pid)
        if lines := secrets.found_in((place / "cmdline").read_bytes()):
            found[process.pid] = lines
        about = (place / "environ").stat()
        if stat.S_IMODE(about.st_mode) & 0o077:
            readable[process.pid] = oct(about.st_mode)
        if about.st_uid != os.geteuid() and (lines := secrets.found_in((place / "environ").read_bytes())):
            found[process.pid] = lines
    assert (found, readable) == ({}, {})


@pytest.mark.abuse(40)
@pytest.mark.last
async def test_no_table_holds_a_secret(rows: psycopg.AsyncConnection, secrets: Secrets) -> None:
    """Passwords and refresh tokens are kept as hashes alone, and the audit log has none of either."""
    query = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema IN ('auth', 'operation')"
    tables = await (await rows.execute(query)).fetchall()
    assert ("auth", "auth_audit_log") in tables
    found = {}
    for schema, table in tables:
        lines = await (await rows.execute(f'SELECT each::text FROM "{schema}"."{table}" AS each'.encode())).fetchall()  # noqa: S608 - names of the catalog
        text = "\n".join(str(line) for (line,) in lines).encode()
        if names := secrets.found_in(text, but=["a hash of a password"] if table == "users" else []):
            found[table] = names
    assert found == {}


@pytest.mark.abuse(40)
async def test_no_refusal_repeats_a_secret(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person) -> None:
    """Nor a part of it, on either face, when the request beside it is wrong."""
    assert ada.client.session.tokens is not None
    refresh, secret = ada.client.session.tokens.refresh_token, "a secret that nobody repeats"
    asked = [
        ("auth.v1.AuthService.Register", RegisterRequest(username="a b", email="no address", password=secret), ""),
        ("auth.v1.AuthService.Register", RegisterRequest(username=secret, email="a@example.org", password=secret), ""),
        ("auth.v1.AuthService.Register", RegisterRequest(username="somebody", email="a\x00b", password=secret + "\x00"), ""),
        ("auth.v1.AuthService.Login", LoginRequest(username="nobody.at.all", password=secret), ""),
        ("auth.v1.AuthService.Login", LoginRequest(username="nobody.at.all", password=secret * 20), ""),
        ("auth.v1.AuthService.RefreshToken", RefreshTokenRequest(refresh_token=refresh[:-1] + secret), ""),
        ("auth.v1.AuthService.RefreshToken", RefreshTokenRequest(refresh_token=refresh * 20), ""),
        ("auth.v1.AuthService.Logout", LogoutRequest(refresh_token=refresh * 20), ""),
        ("auth.v1.UserService.GetMe", GetMeRequest(), f"Bearer {ada.token[:-4]}{secret}"),
        ("auth.v1.UserService.GetMe", GetMeRequest(), f"Basic {ada.token}"),
    ]
    for name, request, authorization in asked:
        refused = await on_both(gateway, http, method(name), request, **({"authorization": authorization} if authorization else {}))
        assert refused.code in ("INVALID_ARGUMENT", "UNAUTHENTICATED"), name
        assert not [part for part in (secret, refresh[:20], ada.token[-40:-4]) if part in refused.message], name
