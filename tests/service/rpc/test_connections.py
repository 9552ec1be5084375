"""Connections between services: TLS that refuses strangers, and an age that breaks no call."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from libs.rpc import channels
from libs.rpc.boundary import Access
from libs.rpc.mesh import MeshIdentity, new_key
from libs.rpc.server import Server
from libs.rpc.settings import MeshSettings
from semantik.auth.v1.auth_service_pb2 import LoginRequest
from tests.service.rpc.conftest import SERVICE, Start, method, served

GOOD = LoginRequest(username="ada", password="correct")


class Authority:
    """A certificate authority that signs for 127.0.0.1."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        self._ca = self._certificate(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))

    def _certificate(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, constraints: x509.BasicConstraints) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        return builder.add_extension(constraints, critical=True).add_extension(names, critical=False).sign(self._key, SHA256())

    def write(self, directory: Path) -> dict[str, Path]:
        """Write a certificate, its key and the authority's; return the settings that name them."""
        directory.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, directory.name)])
        certificate = self._certificate(name, key, x509.BasicConstraints(ca=False, path_length=None))
        files = {
            "tls_cert_file": certificate.public_bytes(Encoding.PEM),
            "tls_key_file": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "tls_ca_file": self._ca.public_bytes(Encoding.PEM),
        }
        for file, content in files.items():
            (directory / file).write_bytes(content)
        return {file: directory / file for file in files}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "mesh.pem"
    file.write_bytes(new_key())
    return file


async def _echo(request: LoginRequest, _: Any) -> LoginRequest:
    return request


def _identity(key_file: Path, **files: Path) -> MeshIdentity:
    return MeshIdentity.of("tests", MeshSettings.model_validate({"mesh_key_file": key_file, **files}))


async def _ask(server: Server, identity: MeshIdentity) -> Any:
    """Call as a service of the mesh would; return the answer or the status."""
    async with channels.connect(f"127.0.0.1:{server.port}", "tests", identity) as channel:
        ask = channel.unary_unary(
            f"/{SERVICE}/unary_unary",
            request_serializer=LoginRequest.SerializeToString,
            response_deserializer=LoginRequest.FromString,
        )
        try:
            return await ask(GOOD, timeout=5)
        except grpc.aio.AioRpcError as error:
            return error.code()


async def test_with_an_authority_only_its_own_are_let_in(start: Start, tmp_path: Path, key_file: Path) -> None:
    """Plaintext, no certificate and another authority's are refused; a mesh token does not make up for it."""
    ours, foreign = Authority(), Authority()
    server_files, client_files, foreign_files = (
        authority.write(tmp_path / name) for authority, name in ((ours, "server"), (ours, "client"), (foreign, "foreign"))
    )
    server = await start(served({"unary_unary": _echo}, Access.MESH), mesh=_identity(key_file, **server_files))
    assert await _ask(server, _identity(key_file, **client_files)) == GOOD
    refused = {
        "plaintext": _identity(key_file),
        "another authority": _identity(key_file, **foreign_files),
        "another authority that trusts ours": _identity(key_file, **{**foreign_files, "tls_ca_file": client_files["tls_ca_file"]}),
        "trusts another authority": _identity(key_file, **{**client_files, "tls_ca_file": foreign_files["tls_ca_file"]}),
    }
    answers = await asyncio.gather(*(_ask(server, identity) for identity in refused.values()))
    assert dict(zip(refused, answers, strict=True)) == dict.fromkeys(refused, grpc.StatusCode.UNAVAILABLE)
    credentials = grpc.ssl_channel_credentials(server_files["tls_ca_file"].read_bytes())
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(f"/{SERVICE}/unary_unary", request_serializer=bytes)(b"", timeout=5)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_without_an_authority_the_server_alone_shows_a_certificate(start: Start, tmp_path: Path, key_file: Path) -> None:
    """Clients that know the authority are let in without one of their own; the mesh token says who they are."""
    files = Authority().write(tmp_path / "server")
    authority = files.pop("tls_ca_file").read_bytes()
    identity = _identity(key_file, **files)
    server = await start(served({"unary_unary": _echo}, Access.MESH), mesh=identity)
    metadata = (("authorization", f"Bearer {identity.token('tests')}"),)
    async with grpc.aio.secure_channel(f"127.0.0.1:{server.port}", grpc.ssl_channel_credentials(authority)) as channel:
        ask = channel.unary_unary(f"/{SERVICE}/unary_unary", LoginRequest.SerializeToString, LoginRequest.FromString)
        assert await ask(GOOD, timeout=5, metadata=metadata) == GOOD


@pytest.mark.parametrize("given", [["tls_cert_file"], ["tls_key_file"], ["tls_ca_file"], ["tls_cert_file", "tls_ca_file"]])
def test_half_a_tls_is_refused_at_the_start(given: list[str]) -> None:
    """A process never falls back to plaintext in silence."""
    with pytest.raises(ValidationError):
        MeshSettings.model_validate({"mesh_key_file": Path("mesh.pem"), **{name: Path("some.pem") for name in given}})


async def test_a_connection_that_is_too_old_is_replaced_and_no_call_notices(start: Start) -> None:
    """Calls go over one connection after another, none fails, and a stream that was open before goes on."""
    peers: set[str] = set()
    enough = asyncio.Event()

    async def unary_unary(request: LoginRequest, context: Any) -> LoginRequest:
        peers.add(context.peer())
        if len(peers) == 3:
            enough.set()
        return request

    async def unary_stream(request: LoginRequest, _: Any) -> AsyncIterator[LoginRequest]:
        yield request
        await enough.wait()
        yield request

    services = served({"unary_unary": unary_unary, "unary_stream": unary_stream})
    server = await start(services, settings={"max_connection_age_seconds": 0.3})
    async with method(server, "unary_unary") as ask, method(server, "unary_stream") as watch, asyncio.timeout(20):

        async def ask_on() -> None:
            while not enough.is_set():
                await ask(GOOD)

        watching = watch(GOOD)
        await asyncio.gather(*(ask_on() for _ in range(4)))
        assert [message async for message in watching] == [GOOD, GOOD]


async def test_a_stream_that_outlasts_the_grace_ends_unavailable(start: Start) -> None:
    """Which is what clients of a watch call again on."""

    async def unary_stream(request: LoginRequest, _: Any) -> AsyncIterator[LoginRequest]:
        yield request
        await asyncio.Event().wait()

    settings = {"max_connection_age_seconds": 0.2, "max_connection_age_grace_seconds": 0.2}
    server = await start(served({"unary_stream": unary_stream}), settings=settings)
    async with method(server, "unary_stream") as watch:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            assert [message async for message in watch(GOOD, timeout=20)]
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
