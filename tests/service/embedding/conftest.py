"""An embedding service with models of its own beside the mesh's, a hub on this machine, and the administrator."""

import asyncio
import os
import shutil
import sys
import threading
from asyncio import create_subprocess_exec, subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from deploy.local.supervisor import Mesh
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity
from semantik.client import Client
from semantik.embedding.v1 import model_service_pb2 as messages
from semantik.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from semantik.embedding.v1.model_service_pb2_grpc import ModelServiceStub
from tests import as_gateway
from tests.conftest import PASSWORD, Person
from tests.service.embedding.hub import Hub
from tests.service.worker.conftest import Doomed


@dataclass
class Own:
    """An embedding service of the test's own; ``model_dir`` holds its models, ``mesh_channel`` is signed as a peer's."""

    doomed: Doomed
    model_dir: Path
    models: Any
    embedding: Any
    channel: grpc.aio.Channel
    mesh_channel: grpc.aio.Channel
    metadata: tuple[tuple[str, str], ...]

    async def download(self, repository: str, **fields: str) -> list[messages.DownloadModelResponse]:
        """Return everything that a download tells, to its end."""
        return [answer async for answer in self.start(repository, **fields)]

    def start(self, repository: str, **fields: str) -> Any:
        """Return the stream of a download."""
        request = messages.DownloadModelRequest(repository=repository, **fields)
        return self.models.DownloadModel(request, metadata=self.metadata, timeout=60)

    def installed(self) -> list[str]:
        """Return what lies in the directory of models, what is under way included."""
        paths = (*self.model_dir.glob("[!.]*"), *self.model_dir.glob(".staging/*"))
        return sorted(str(path.relative_to(self.model_dir)) for path in paths)


Start = Callable[..., Awaitable[Own]]


@pytest.fixture(scope="session")
async def administrator(mesh: Mesh, address: str) -> AsyncIterator[Person]:
    """The mesh's first user."""
    assert mesh.gateway
    async with Client(address) as client:
        yield Person(await client.accounts.login("administrator", PASSWORD), client)


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        serving = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        yield hub
        hub.shutdown()
        serving.join()


@pytest.fixture(scope="session")
async def own(mesh: Mesh, hub: Hub, administrator: Person, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Own]:
    """A service that downloads from ``hub``, for the tests that do it no harm."""
    async with _running(mesh, hub, administrator, tmp_path_factory.mktemp("models"), {}) as started:
        yield started


@pytest.fixture
async def start(mesh: Mesh, hub: Hub, administrator: Person, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a service with other settings, or one that the test may do anything to; all of a test have the same models."""
    async with AsyncExitStack() as stack:

        async def started(**settings: str) -> Own:
            return await stack.enter_async_context(_running(mesh, hub, administrator, tmp_path, settings))

        yield started


async def _knows_tokens(models: Any, signed: tuple[tuple[str, str], ...]) -> None:
    """Wait until the service has read auth's keys and revocations, whatever state its models are in."""
    async with asyncio.timeout(30):
        while True:
            try:
                await models.ListModels(messages.ListModelsRequest(), metadata=signed)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or "auth" not in str(error.details()):
                    return
                await asyncio.sleep(0.05)
            else:
                return


@asynccontextmanager
async def _running(mesh: Mesh, hub: Hub, administrator: Person, model_dir: Path, settings: dict[str, str]) -> AsyncIterator[Own]:
    # The default model's graph is the mesh's: building it again would take longer than the tests.
    if not (model_dir / ".graphs").exists():
        shutil.copytree(mesh.home.models / ".graphs", model_dir / ".graphs", copy_function=os.link)
    inherited = next(child.spec.environment for child in mesh.children if child.spec.name == "embedding")
    # Who calls the mesh is nobody who calls this service.
    left_out = ("HF_", "TRANSFORMERS_", "PRESENCE_FILE")
    environment = {name: value for name, value in inherited.items() if not name.startswith(left_out)}
    environment |= {
        "LISTEN_ADDRESS": "127.0.0.1:0",
        "METRICS_ADDRESS": "",
        "MODEL_DIR": str(model_dir),
        "NO_PROXY": "127.0.0.1,localhost",
        "HF_HOME": str(model_dir / ".nobody"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": "hf_secret",
    }
    command = (sys.executable, "-P", "-m", "services.embedding")
    process = await create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**environment, **settings}, cwd=model_dir
    )
    doomed = Doomed(process)
    try:
        await doomed.says("listening on port")
        port = next(line for line in doomed.output if "listening on port" in line).split("listening on port ")[1].split()[0]
        identity = MeshIdentity("tests", Path(environment["MESH_KEY_FILE"]).read_bytes())
        address = f"127.0.0.1:{port}"
        async with as_gateway.channel(address, identity) as channel, channels.connect(address, "embedding", identity) as peer:
            signed = (("authorization", f"Bearer {administrator.token}"),)
            await _knows_tokens(ModelServiceStub(channel), signed)
            yield Own(doomed, model_dir, ModelServiceStub(channel), EmbeddingServiceStub(channel), channel, peer, signed)
    finally:
        await doomed.end()
