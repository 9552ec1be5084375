"""A mesh without a worker: what callers ask for stays as it was asked for, until a test does the worker's part in SQL."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psycopg
import pytest

from deploy.local.child import Child
from deploy.local.postgres import Postgres
from deploy.local.supervisor import Mesh, Options, running
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity
from semantik.client import Client
from semantik.collection.v1.collection_pb2 import Collection
from tests.conftest import PASSWORD, Person

_numbers = itertools.count(1)
Away = Callable[[str], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Quiet:
    """The mesh, its database past every service, and a channel to a service as another service has it."""

    mesh: Mesh
    rows: psycopg.AsyncConnection
    identity: MeshIdentity
    channels: dict[str, grpc.aio.Channel] = field(default_factory=dict)

    @property
    def objects(self) -> Path:
        return self.mesh.home.objects

    def child(self, name: str) -> Child:
        return next(child for child in self.mesh.children if child.spec.name == name)

    def peer(self, service: str) -> grpc.aio.Channel:
        if service not in self.channels:
            self.channels[service] = channels.connect(f"127.0.0.1:{self.child(service).spec.port}", service, self.identity)
        return self.channels[service]

    def connect(self) -> Awaitable[psycopg.AsyncConnection]:
        """Return another connection to the database."""
        return psycopg.AsyncConnection.connect(Postgres(self.mesh.home.postgres).dsn(database="semantik"))


@pytest.fixture(scope="session")
async def quiet(tmp_path_factory: pytest.TempPathFactory, library: Path) -> AsyncIterator[Quiet]:
    options = Options(data_dir=tmp_path_factory.mktemp("quiet"), port=None, allowed_roots=(library,))
    async with running(options) as mesh:
        async with asyncio.timeout(240):
            await mesh.start()
            for worker in [child for child in mesh.children if child.spec.name.startswith("worker")]:
                await worker.stop()
                mesh.children.remove(worker)
            await mesh.wait_ready()
        dsn = Postgres(mesh.home.postgres).dsn(database="semantik")
        async with (
            Client(mesh.gateway.removeprefix("http://")) as first,
            await psycopg.AsyncConnection.connect(dsn, autocommit=True) as rows,
        ):
            await first.accounts.register("administrator", "administrator@example.org", PASSWORD)
            quiet = Quiet(mesh, rows, MeshIdentity("tests", (mesh.home.keys / "mesh.pem").read_bytes()))
            yield quiet
            for channel in quiet.channels.values():
                await channel.close()


@pytest.fixture
def rows(quiet: Quiet) -> psycopg.AsyncConnection:
    return quiet.rows


@pytest.fixture
async def register(quiet: Quiet) -> AsyncIterator[Callable[[], Awaitable[Person]]]:
    """Register a fresh user of the quiet mesh."""
    async with AsyncExitStack() as stack:

        async def register() -> Person:
            client = await stack.enter_async_context(Client(quiet.mesh.gateway.removeprefix("http://")))
            name = f"quiet{next(_numbers)}"
            return Person(await client.accounts.register(name, f"{name}@example.org", PASSWORD), client)

        yield register


@pytest.fixture
async def ada(register: Callable[[], Awaitable[Person]]) -> Person:
    return await register()


@pytest.fixture
async def stranger(register: Callable[[], Awaitable[Person]]) -> Person:
    return await register()


@pytest.fixture
async def collection(ada: Person) -> Collection:
    return await ada.client.collections.create(f"papers {next(_numbers)}")


@pytest.fixture
def away(quiet: Quiet) -> Away:
    """Stop a service for the length of a block."""

    @asynccontextmanager
    async def away(name: str) -> AsyncIterator[None]:
        child = quiet.child(name)
        await child.stop()
        try:
            yield
        finally:
            successor = Child(child.spec, quiet.mesh.home.logs)
            quiet.mesh.children[quiet.mesh.children.index(child)] = successor
            successor.start()
            await successor.wait_ready(30)

    return away
