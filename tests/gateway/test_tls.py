"""The gateway behind TLS, with a certificate of the test's own."""

import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.local.ports import choose
from gateway.tls import Tls
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.auth.v1.user_service_pb2_grpc import UserServiceStub
from tests.gateway.conftest import gateway
from tests.gateway.standin import StandIn


@dataclass(frozen=True)
class Secure:
    plain_port: int
    address: str
    certificate: Path


def _certificate(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "semantik test")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
    builder = builder.not_valid_after(now + dt.timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    certificate, private = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


@pytest.fixture(scope="module")
async def secure(standin: StandIn, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secure]:
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = _certificate(directory)
    port = choose(["tls"], directory / "ports.json", str(directory))["tls"]
    async with gateway(standin.port, directory, tls=Tls(certificate, key, f"127.0.0.1:{port}")) as plain_port:
        yield Secure(plain_port, f"127.0.0.1:{port}", certificate)


async def test_json_is_answered_by_tls(secure: Secure) -> None:
    """With the same answers as without, and browsers are told to come back by TLS, errors of the gateway included."""
    context = ssl.create_default_context(cafile=str(secure.certificate))
    async with httpx.AsyncClient(base_url=f"https://{secure.address}", verify=context, timeout=20) as http:
        me, lost = await http.get("/v1/users/me"), await http.get("/nowhere")
    assert (me.status_code, lost.status_code) == (200, 404)
    assert {answer.headers["strict-transport-security"] for answer in (me, lost)} == {"max-age=31536000"}


async def test_grpc_is_answered_by_tls(secure: Secure) -> None:
    """ALPN chooses HTTP/2."""
    credentials = grpc.ssl_channel_credentials(secure.certificate.read_bytes())
    async with grpc.aio.secure_channel(secure.address, credentials) as channel:
        answer = await UserServiceStub(channel).GetMe(GetMeRequest())
    assert answer.user.username == "ada"


async def test_the_plain_port_stays_plain(secure: Secure) -> None:
    """It answers without a promise about TLS; what is not TLS gets nothing from the other."""
    async with httpx.AsyncClient(timeout=20) as http:
        plain = await http.get(f"http://127.0.0.1:{secure.plain_port}/v1/users/me")
        with pytest.raises(httpx.TransportError):
            await http.get(f"http://{secure.address}/v1/users/me")
    assert (plain.status_code, "strict-transport-security" in plain.headers) == (200, False)


async def test_old_versions_of_tls_are_refused(secure: Secure) -> None:
    """TLS 1.1 and before end at the handshake."""
    context = ssl.create_default_context(cafile=str(secure.certificate))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with httpx.AsyncClient(verify=context, timeout=20) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"https://{secure.address}/v1/users/me")
