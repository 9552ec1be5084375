"""A real Envoy before a small gRPC server that stands for all services."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import grpc
import httpx
import pytest

from deploy.local.child import Spec
from deploy.local.ports import choose
from deploy.local.ready import envoy_answers
from gateway import contract
from gateway.render import Gateway
from gateway.tls import Tls
from tests.gateway.standin import StandIn
from tests.servers import child

PROOF = "only the gateway knows"
ORIGIN = "http://app.example"
PAGE = '<!doctype html><title>Semantik</title><script type="module" src="/assets/index-a1B2c3D4.js"></script>'
SCRIPT = "globalThis.answer = 42;\n" * 1000


@pytest.fixture(scope="session")
async def standin() -> AsyncIterator[StandIn]:
    standin = StandIn()
    await standin.start()
    yield standin
    await standin.server.stop(0)


@pytest.fixture(scope="session")
async def gateway_port(standin: StandIn, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    async with gateway(standin.port, tmp_path_factory.mktemp("gateway")) as port:
        yield port


@asynccontextmanager
async def gateway(
    service_port: int, directory: Path, changes: Mapping[str, str] = MappingProxyType({}), tls: Tls | None = None
) -> AsyncIterator[int]:
    """Run an Envoy before the server on ``service_port``, its configuration changed as ``changes`` say; gives its port."""
    port = choose(["gateway"], directory / "ports.json", str(directory))["gateway"]
    descriptor, configuration = directory / "contract.pb", directory / "envoy.yaml"
    descriptor.write_bytes(contract.descriptor_set())
    endpoints = {name: [f"127.0.0.1:{service_port}"] for name in contract.CLUSTERS}
    app = built(directory / "app")
    settings = Gateway(endpoints, descriptor, port, PROOF, admin=str(directory / "admin.sock"), cors_origins=(ORIGIN,), app=app, tls=tls)
    rendered = settings.render()
    for old, new in changes.items():
        assert old in rendered
        rendered = rendered.replace(old, new)
    configuration.write_text(rendered)
    command = [envoy(), "-c", str(configuration), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    async with child(Spec("envoy", command, envoy_answers(directory / "admin.sock", port, "/readyz")), directory):
        yield port


@pytest.fixture(scope="session")
async def http(gateway_port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway_port}", timeout=20) as client:
        yield client


@pytest.fixture
async def channel(gateway_port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway_port}") as channel:
        yield channel


def built(folder: Path) -> Path:
    """Write what a build of the app leaves, and a secret beside it; gives its folder."""
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-a1B2c3D4.js").write_text(SCRIPT)
    (folder.parent / "secret.txt").write_text("nobody reads this")
    return folder


def envoy() -> str:
    program = shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")
    assert program is not None
    return program


def validate(configuration: Path) -> subprocess.CompletedProcess[str]:
    command = [envoy(), "--mode", "validate", "-c", str(configuration), "--disable-hot-restart"]
    return subprocess.run(command, capture_output=True, text=True, check=False)
