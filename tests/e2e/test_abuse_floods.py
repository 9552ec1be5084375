"""One user's flood leaves the others as fast as they were, whatever RPC it comes by."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from deploy.local.supervisor import Mesh
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.collection.v1.collection_service_pb2 import GetCollectionRequest
from semantik.embedding.v1.embedding_service_pb2 import CountTokensRequest, EmbedRequest
from semantik.search.v1.search_service_pb2 import SearchRequest
from tests.conftest import REPEATS, Person
from tests.e2e.faces import PUBLIC, empty, method

CALLS = 64
SECONDS = 4.0 if REPEATS > 1 else 1.5
LONG = " ".join(f"river{number} gate" for number in range(600))
SEARCH = method("search.v1.SearchService.Search")
Ask = Callable[[], Awaitable[object]]


def _dear(of: MethodDescriptor, collection_id: str) -> Message:
    """Return the dearest request of a method that is known, else an empty one."""
    known: dict[str, Message] = {
        "Search": SearchRequest(query=LONG, collection_ids=[collection_id]),
        "CountTokens": CountTokensRequest(texts=["river gate " * 8000] * 80),
        "Embed": EmbedRequest(texts=[f"{number} " + "river gate " * 200 for number in range(256)], truncate=True),
        "GetCollection": GetCollectionRequest(collection_id=collection_id),
    }
    return known.get(of.name) or empty(of)


UNARY = [
    each for each in PUBLIC if not each.client_streaming and not each.server_streaming and each.containing_service.name != "AuthService"
]
# In `make test` those that differ in what they cost; `make abuse` floods by all of them.
FLOODED = UNARY if REPEATS > 1 else [each for each in UNARY if each.name in ("Search", "CountTokens", "GetMe", "GetCollection")]


@pytest.mark.abuse(31, 38)
@pytest.mark.parametrize("of", FLOODED, ids=lambda of: of.name)
async def test_a_flood_of_one_user_leaves_the_others_as_fast_as_they_were(
    mesh: Mesh,
    gateway: grpc.aio.Channel,
    ada: Person,
    stranger: Person,
    library: Path,
    of: MethodDescriptor,
    record_property: Callable[[str, object], None],
) -> None:
    """64 calls at once without end, by the dearest request there is; nobody else's call fails, or takes many times as long."""
    mine, theirs = [await _collection(person, library) for person in (ada, stranger)]
    asks = [
        _ask(gateway, ada, SEARCH, SearchRequest(query="where is the gate", collection_ids=[mine])),
        _ask(gateway, ada, method("auth.v1.UserService.GetMe"), GetMeRequest()),
        _ask(gateway, ada, method("collection.v1.CollectionService.GetCollection"), GetCollectionRequest(collection_id=mine)),
        _ask(gateway, ada, method("embedding.v1.EmbeddingService.CountTokens"), CountTokensRequest(texts=["a gate"])),
    ]
    await _times(asks, 0.3)
    idle = await _times(asks, SECONDS)
    async with _flood(mesh, stranger, of, _dear(of, theirs)) as answers:
        flooded = await _times(asks, SECONDS)
    assert sum(answers.values()) > 1, "there was no flood"
    assert answers.keys() <= {"OK", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED",
                              "FAILED_PRECONDITION"}  # fmt: skip
    for before, during in zip(idle, flooded, strict=True):
        assert statistics.median(during) < 5 * statistics.median(before) + 0.02
        record_property("flood_p99_ratio", round(_p99(during) / _p99(before), 2))


async def _collection(person: Person, library: Path) -> str:
    """Make a collection with a few passages in it."""
    collection = await person.client.collections.create("floods")
    file = library / f"{collection.id}.txt"
    file.write_text("\n\n".join(f"The gate {number} is across the river." for number in range(30)))
    _, operation = await person.client.documents.upload(collection.id, file)
    async for _ in person.client.operations.watch(operation.id):
        pass
    return collection.id


def _ask(channel: grpc.aio.Channel, person: Person, of: MethodDescriptor, request: Message) -> Ask:
    call: Any = channel.unary_unary(f"/{of.containing_service.full_name}/{of.name}")
    content, metadata = request.SerializeToString(), (("authorization", f"Bearer {person.token}"),)

    async def ask() -> object:
        return await call(content, metadata=metadata, timeout=20)

    return ask


async def _times(asks: list[Ask], seconds: float) -> list[list[float]]:
    """Call each in turn for so long; returns the seconds that each call took."""
    until, times = time.monotonic() + seconds, [list[float]() for _ in asks]
    while time.monotonic() < until:
        for ask, taken in zip(asks, times, strict=True):
            started = time.monotonic()
            await ask()
            taken.append(time.monotonic() - started)
    return times


@asynccontextmanager
async def _flood(mesh: Mesh, person: Person, of: MethodDescriptor, request: Message) -> AsyncIterator[dict[str, int]]:
    """Flood from a process of its own during the block; gives how the calls ended, which is known after it."""
    path, address = f"/{of.containing_service.full_name}/{of.name}", mesh.gateway.removeprefix("http://")
    command = (sys.executable, "-P", "-m", "tests.e2e.flooder", address, path, str(CALLS), str(SECONDS + 0.5))
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    answers: dict[str, int] = {}
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"Bearer {person.token}\n".encode() + request.SerializeToString())
    process.stdin.close()
    assert await process.stdout.readline() == b"begun\n"
    yield answers
    output = await process.stdout.read()
    assert await process.wait() == 0
    answers.update(json.loads(output))


def _p99(times: list[float]) -> float:
    return sorted(times)[max(0, round(len(times) * 0.99) - 1)]
