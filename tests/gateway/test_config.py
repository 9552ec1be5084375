"""The configuration follows the contract, and Envoy accepts it."""

import asyncio
import subprocess
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from deploy.local.ready import envoy_answers
from gateway import contract
from gateway.render import Gateway
from libs.rpc.mesh import new_key
from tests.gateway.conftest import envoy, validate
from tests.gateway.standin import StandIn


def test_every_public_service_is_listed_and_no_internal_one(tmp_path: Path) -> None:
    """The list is the contract's, by name."""
    names = {service.full_name for service in contract.public_services()}
    assert {"semantik.auth.v1.AuthService", "semantik.search.v1.SearchService", "semantik.operation.v1.OperationService"} <= names
    assert not [name for name in names if "Internal" in name]
    endpoints = {name: ["127.0.0.1:1"] for name in contract.CLUSTERS}
    assert "InternalService" not in Gateway(endpoints, tmp_path / "contract.pb", 1, "proof").render()


def test_the_descriptor_set_knows_the_error_details() -> None:
    """Without them ErrorInfo would vanish from JSON bodies."""
    files = [file.name for file in FileDescriptorSet.FromString(contract.descriptor_set()).file]
    assert "google/rpc/error_details.proto" in files
    assert len(files) == len(set(files))


def test_a_rendered_file_is_accepted_by_envoy(tmp_path: Path) -> None:
    """As an operator renders it: several replicas, names instead of addresses, an origin with quotes in it."""
    replicas = [option for name in contract.CLUSTERS for option in (f"--{name}", f"{name}-0:9000", f"--{name}", f"{name}-1:9000")]
    options = [
        "--descriptor",
        str(tmp_path / "contract.pb"),
        "--cors-origin",
        'http://a"b\\c',
        "--trusted-hops",
        "1",
        "--mesh-key",
        str(tmp_path / "mesh.pem"),
    ]
    (tmp_path / "mesh.pem").write_bytes(new_key())
    command = [sys.executable, "-P", "-m", "gateway.render", *replicas, *options]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    configuration = tmp_path / "envoy.yaml"
    configuration.write_text(rendered)
    checked = validate(configuration)
    assert checked.returncode == 0, checked.stderr
    assert "Deprecated" not in checked.stderr


async def test_a_second_gateway_does_not_share_the_port(gateway_port: int, standin: StandIn, tmp_path: Path) -> None:
    """It ends, and is never taken for ready because the first one answers."""
    configuration, descriptor, admin = tmp_path / "envoy.yaml", tmp_path / "contract.pb", tmp_path / "admin.sock"
    descriptor.write_bytes(contract.descriptor_set())
    endpoints = {name: [f"127.0.0.1:{standin.port}"] for name in contract.CLUSTERS}
    configuration.write_text(Gateway(endpoints, descriptor, gateway_port, "proof", admin=str(admin)).render())
    command = (envoy(), "-c", str(configuration), "--disable-hot-restart", "--concurrency", "1")
    second = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(20):
            _, errors = await second.communicate()
    finally:
        if second.returncode is None:
            second.kill()
            await second.wait()
    assert second.returncode != 0
    assert b"Address already in use" in errors
    assert not await envoy_answers(admin, gateway_port, "/readyz")()
