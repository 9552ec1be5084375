"""The whole mesh, started once for all tests that use it; each test has its own users and collections."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest

from deploy.local.home import home_of
from deploy.local.ports import remember
from deploy.local.postgres import Postgres
from deploy.local.supervisor import Mesh, Options, running
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity
from semantik.auth.v1 import session_pb2, user_pb2
from semantik.client import Client
from semantik.client.tokens import MemoryTokens
from semantik.collection.v1 import collection_pb2

PASSWORD = "correct horse battery staple"
# More than all tests together need from one computer; the meshes that they start inherit it.
REGISTRATIONS = 2000
os.environ["REGISTRATIONS_PER_NETWORK"] = str(REGISTRATIONS)
# All tests share one address, and attack it.
os.environ["RATE_LIMIT_SIGN_IN_BY_ADDRESS"] = "1000000"
REPEATS = int(os.environ.get("ABUSE_REPEATS", "1"))
"""How many times as many random attacks are made; `make abuse` sets it."""
_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part", choices=("mesh", "packages", "rest"), help="run the tests that use the shared mesh, those of the packages, or all others"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep one part, so that two processes share the work."""
    part = config.getoption("--part")
    if part is not None:
        config.hook.pytest_deselected(items=[item for item in items if _part(item) != part])
        items[:] = [item for item in items if _part(item) == part]


def _part(item: pytest.Item) -> str:
    if item.path.parent.name == "packages":
        return "packages"
    return "mesh" if "mesh" in getattr(item, "fixturenames", ()) else "rest"


@dataclass(frozen=True)
class Person:
    """A registered user with a client over gRPC and a bearer header for JSON."""

    user: user_pb2.User
    client: Client

    @property
    def token(self) -> str:
        assert self.client.session.tokens is not None
        return self.client.session.tokens.access_token

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only directory sources may lie in."""
    return tmp_path_factory.mktemp("library")


@pytest.fixture(scope="session")
async def mesh(tmp_path_factory: pytest.TempPathFactory, library: Path) -> AsyncIterator[Mesh]:
    directory = tmp_path_factory.mktemp("mesh")
    # Not the default: a mesh that another part of the tests starts at this moment may be about to take that one.
    remember(home_of(directory).ports, {"gateway": 0})
    async with running(Options(data_dir=directory, port=None, allowed_roots=(library,))) as started:
        async with asyncio.timeout(90):
            await started.start()
            await started.wait_ready()
        async with Client(started.gateway.removeprefix("http://")) as first:
            # The first user administers; no test depends on who that is.
            await first.accounts.register("administrator", "administrator@example.org", PASSWORD)
        yield started


@pytest.fixture(scope="session")
def address(mesh: Mesh) -> str:
    """The gateway, ``host:port``."""
    return mesh.gateway.removeprefix("http://")


@pytest.fixture(scope="session")
async def http(mesh: Mesh) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=mesh.gateway, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def port_of(mesh: Mesh) -> Callable[[str], int]:
    """The gRPC port of a process by its name."""
    return lambda name: next(child.spec.port for child in mesh.children if child.spec.name == name)


@pytest.fixture(scope="session")
def mesh_key(mesh: Mesh) -> bytes:
    return (mesh.home.keys / "mesh.pem").read_bytes()


@pytest.fixture(scope="session")
async def peer(port_of: Callable[[str], int], mesh_key: bytes) -> AsyncIterator[Callable[[str], grpc.aio.Channel]]:
    """Open a channel to a service as another service of the mesh would."""
    identity = MeshIdentity("tests", mesh_key)
    opened: dict[str, grpc.aio.Channel] = {}

    def channel(service: str) -> grpc.aio.Channel:
        if service not in opened:
            opened[service] = channels.connect(f"127.0.0.1:{port_of(service)}", service, identity)
        return opened[service]

    yield channel
    for connection in opened.values():
        await connection.close()


@pytest.fixture(scope="session")
async def rows(mesh: Mesh) -> AsyncIterator[psycopg.AsyncConnection]:
    """The mesh's database without the services: to move times and to see what is stored."""
    dsn = Postgres(mesh.home.postgres).dsn(database="semantik")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


class NotedTokens(MemoryTokens):
    """Notes every token that a client gets."""

    def __init__(self, held: set[str]) -> None:
        super().__init__()
        self._held = held

    def write(self, tokens: session_pb2.Tokens | None) -> None:
        super().write(tokens)
        if tokens is not None:
            self._held |= {tokens.access_token, tokens.refresh_token}


@pytest.fixture(scope="session")
def held_tokens() -> set[str]:
    """The tokens that the clients of the tests have held."""
    return set()


@pytest.fixture
async def person(address: str, held_tokens: set[str]) -> AsyncIterator[Callable[[], Awaitable[Person]]]:
    """Register a fresh user."""
    async with AsyncExitStack() as stack:

        async def register() -> Person:
            client = await stack.enter_async_context(Client(address, token_store=NotedTokens(held_tokens)))
            name = f"user{next(_numbers)}"
            return Person(await client.accounts.register(name, f"{name}@example.org", PASSWORD), client)

        yield register


@pytest.fixture
async def ada(person: Callable[[], Awaitable[Person]]) -> Person:
    return await person()


@pytest.fixture
async def stranger(person: Callable[[], Awaitable[Person]]) -> Person:
    """A user without any rights."""
    return await person()


@pytest.fixture
async def collection(ada: Person) -> collection_pb2.Collection:
    return await ada.client.collections.create("papers")


Publish = Callable[[Person, str], Awaitable[None]]


@pytest.fixture
async def publish() -> AsyncIterator[Publish]:
    """Makes somebody's collection public until the test ends: no other test is to find it."""
    shown: list[tuple[Person, str]] = []

    async def publish(person: Person, collection_id: str) -> None:
        await person.client.collections.update(collection_id, is_public=True)
        shown.append((person, collection_id))

    yield publish
    for person, collection_id in shown:
        await person.client.collections.update(collection_id, is_public=False)


@pytest.fixture
def shelf(library: Path) -> Path:
    """A fresh directory below the allowed root."""
    directory = library / f"shelf{next(_numbers)}"
    directory.mkdir()
    return directory
