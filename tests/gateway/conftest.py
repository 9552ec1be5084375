"""A real Envoy before a small gRPC server that stands for all services."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pytest

from deploy.local.child import Child, Spec
from deploy.local.ports import choose
from deploy.local.ready import envoy_answers
from gateway import contract
from gateway.render import Gateway
from tests.gateway.standin import StandIn

ORIGIN = "http://app.example"


@pytest.fixture(scope="session")
async def standin() -> AsyncIterator[StandIn]:
    standin = StandIn()
    await standin.start()
    yield standin
    await standin.server.stop(0)


@pytest.fixture(scope="session")
async def gateway_port(standin: StandIn, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    directory = tmp_path_factory.mktemp("gateway")
    port = choose(["gateway"], directory / "ports.json", str(directory))["gateway"]
    descriptor, configuration = directory / "contract.pb", directory / "envoy.yaml"
    descriptor.write_bytes(contract.descriptor_set())
    endpoints = {name: [f"127.0.0.1:{standin.port}"] for name in contract.CLUSTERS}
    gateway = Gateway(endpoints, descriptor, port, admin=str(directory / "admin.sock"), cors_origins=(ORIGIN,))
    configuration.write_text(gateway.render())
    command = [envoy(), "-c", str(configuration), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"]
    child = Child(Spec("envoy", command, envoy_answers(directory / "admin.sock", port, "/readyz")), directory)
    child.start()
    try:
        await child.wait_ready(20)
        yield port
    finally:
        await child.stop()


@pytest.fixture(scope="session")
async def http(gateway_port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{gateway_port}", timeout=20) as client:
        yield client


@pytest.fixture
async def channel(gateway_port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{gateway_port}") as channel:
        yield channel


def envoy() -> str:
    found = shutil.which("envoy", path=str(Path(sys.executable).parent)) or shutil.which("envoy")
    assert found is not None
    return found


def validate(configuration: Path) -> subprocess.CompletedProcess[str]:
    command = [envoy(), "--mode", "validate", "-c", str(configuration), "--disable-hot-restart"]
    return subprocess.run(command, capture_output=True, text=True, check=False)
