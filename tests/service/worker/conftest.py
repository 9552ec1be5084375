"""Workers that meet accidents, and what the vector store holds afterwards."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import psycopg
import pytest

from deploy.local.child import Child
from deploy.local.supervisor import Mesh
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from tests.conftest import Person

# A dozen of them import on two cores at once, and work before they die.
_END_SECONDS = 180
Points = Callable[[Person, str], Awaitable[set[tuple[str, int, int]]]]


class Doomed:
    """A worker of the mesh that the test may do anything to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output: list[str] = []
        self._reading = asyncio.create_task(self._read())
        self._more = asyncio.Condition()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._more:
                self.output.append(line.decode())
                self._more.notify_all()

    async def says(self, words: str) -> None:
        """Wait until it has logged these words."""
        try:
            async with asyncio.timeout(30), self._more:
                await self._more.wait_for(lambda: any(words in line for line in self.output))
        except TimeoutError:
            raise AssertionError("".join(self.output)) from None

    async def ends(self) -> int:
        """Wait for its end; returns the exit status."""
        return await asyncio.wait_for(self.process.wait(), _END_SECONDS)

    async def end(self) -> None:
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        await self._reading


@pytest.fixture
async def mesh_worker(mesh: Mesh) -> AsyncIterator[Child]:
    """The mesh's own worker, stopped so that others get the work; it starts again after the test at the latest."""
    child = next(child for child in mesh.children if child.spec.name == "worker")
    await child.stop()
    try:
        yield child
    finally:
        if child.state == "stopped":
            child.start()


@pytest.fixture
async def doomed(mesh_worker: Child, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Doomed]]]:
    """Start a worker with failpoints or other settings."""
    started: list[Doomed] = []

    async def start(failpoints: str = "", **settings: str) -> Doomed:
        environment = {**mesh_worker.spec.environment, "LISTEN_ADDRESS": "127.0.0.1:0", "METRICS_ADDRESS": "", "FAILPOINTS": failpoints}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "services.collection.worker",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**environment, **settings},
            cwd=tmp_path,
        )  # fmt: skip
        started.append(Doomed(process))
        return started[-1]

    yield start
    for each in started:
        await each.end()


@pytest.fixture
def expire_leases(rows: psycopg.AsyncConnection) -> Callable[[], Awaitable[None]]:
    """Let the time of every lease be over, as if the seconds had passed."""

    async def expire() -> None:
        await rows.execute("UPDATE operation.operations SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL")

    return expire


@pytest.fixture(scope="session")
def points(peer: Callable[[str], grpc.aio.Channel]) -> Points:
    """Return what the index of a collection holds: path, content version and ordinal of each point."""

    async def read(person: Person, collection_id: str) -> set[tuple[str, int, int]]:
        paths = {document.id: document.path async for document in person.client.documents.list(collection_id)}
        stub = IndexInternalServiceStub(peer("search"))
        request = messages.ListPointsRequest(index_name=f"{collection_id}_all-minilm-l6-v2_int8_g1")
        found = [point async for answer in stub.ListPoints(request) for point in answer.points]
        listed = {(paths.get(point.document_id, "orphan"), point.content_version, point.ordinal) for point in found}
        assert len(listed) == len(found)
        return listed

    return read
