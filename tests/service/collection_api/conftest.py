"""The mesh without its worker: what callers ask for stays as it was asked for, until a test does the worker's part in SQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest

from deploy.local.child import Child
from deploy.local.postgres import Postgres
from deploy.local.supervisor import Mesh

Away = Callable[[str], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Quiet:
    """The mesh, its database past every service, and a channel to a service as another service has it."""

    mesh: Mesh
    rows: psycopg.AsyncConnection
    peer: Callable[[str], grpc.aio.Channel]

    @property
    def objects(self) -> Path:
        return self.mesh.home.objects

    def connect(self) -> Awaitable[psycopg.AsyncConnection]:
        """Return another connection to the database."""
        return psycopg.AsyncConnection.connect(Postgres(self.mesh.home.postgres).dsn(database="semantik"))


def _child(mesh: Mesh, name: str) -> Child:
    return next(child for child in mesh.children if child.spec.name == name)


@pytest.fixture(scope="module")
async def quiet(mesh: Mesh, rows: psycopg.AsyncConnection, peer: Callable[[str], grpc.aio.Channel]) -> AsyncIterator[Quiet]:
    worker = _child(mesh, "worker")
    await worker.stop()
    yield Quiet(mesh, rows, peer)
    await rows.execute("DELETE FROM operation.operations WHERE state = 'QUEUED' AND queue = 'index'")
    worker.start()
    await worker.wait_ready(60)


@pytest.fixture(autouse=True)
def _without_worker(quiet: Quiet) -> None:
    """Every test here needs the work to stay where it is."""


@pytest.fixture
async def impatient(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the gateway that calls nothing again, as the SDK's does for many seconds."""
    async with grpc.aio.insecure_channel(address, [("grpc.enable_retries", 0)]) as channel:
        yield channel


@pytest.fixture
def away(mesh: Mesh, http: httpx.AsyncClient) -> Away:
    """Stop a service for the length of a block."""

    @asynccontextmanager
    async def away(name: str) -> AsyncIterator[None]:
        child = _child(mesh, name)
        await child.stop()
        try:
            yield
        finally:
            child.start()
            await child.wait_ready(60)
            # The gateway notices a moment later.
            async with asyncio.timeout(30):
                while (await http.get("/readyz")).status_code != httpx.codes.OK:  # noqa: ASYNC110 - it changes in another process
                    await asyncio.sleep(0.05)

    return away
