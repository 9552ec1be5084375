"""One user's flood leaves the others as fast as they were, whatever RPC it comes by."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Value

from deploy.local.supervisor import Mesh, Options, running
from semantik.auth.v1.auth_service_pb2 import LoginRequest, LogoutRequest, RefreshTokenRequest, RegisterRequest
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.client import Client
from semantik.collection.v1.collection_service_pb2 import CreateCollectionRequest, GetCollectionRequest
from semantik.collection.v1.document_service_pb2 import GetDocumentContentRequest, ListDocumentsRequest, UploadDocumentRequest
from semantik.embedding.v1.embedding_service_pb2 import CountTokensRequest, EmbedRequest, RerankRequest
from semantik.embedding.v1.open_ai_service_pb2 import CreateEmbeddingsRequest
from semantik.operation.v1.operation_service_pb2 import GetOperationRequest, WatchOperationRequest
from semantik.search.v1.search_service_pb2 import BatchSearchRequest, FindSimilarRequest, SearchRequest
from semantik.search.v1.suggestion_pb2 import SuggestQueriesRequest
from tests.conftest import PASSWORD, REPEATS, Person
from tests.e2e.faces import PUBLIC, empty, method
from tests.e2e.flooder import NUMBER

CALLS = 64
# Idle and flooded in turn, so that both see the same computer; a 99th percentile takes some hundred calls.
ROUNDS, SECONDS = (2, 4.0) if REPEATS > 1 else (1, 1.5)
# The median of 1.5 s beside whatever else the computer does tells starving from waiting, no more: `make abuse` measures.
_SLACK = 0.02 if REPEATS > 1 else 0.25
_RAMP_SECONDS = 0.5
LONG = " ".join(f"river{number} gate" for number in range(600))
MANY = [f"{number} " + "river gate " * 200 for number in range(256)]
Ask = Callable[[], Awaitable[object]]

SIGNED_IN = [each for each in PUBLIC if each.containing_service.name != "AuthService"]
# In `make test` those that differ in what they cost; `make abuse` floods by all of them.
CHOSEN = ("Search", "CountTokens", "GetMe", "GetCollection", "WatchOperation")
FLOODED = SIGNED_IN if REPEATS > 1 else [each for each in SIGNED_IN if each.name in CHOSEN]
ANONYMOUS = [each for each in PUBLIC if each.containing_service.name == "AuthService"]
every = pytest.mark.skipif(REPEATS == 1, reason="takes a mesh of its own: `make abuse`")


def _dear(of: MethodDescriptor, collection_id: str, document_id: str, operation_id: str) -> Message:
    """Return the dearest request of a method that is known, else an empty one."""
    known: dict[str, Message] = {
        "Register": RegisterRequest(username=f"flood{NUMBER}", email=f"flood{NUMBER}@example.org", password=PASSWORD),
        "Login": LoginRequest(username=f"flood{NUMBER}", password=PASSWORD),
        "RefreshToken": RefreshTokenRequest(refresh_token=NUMBER * 8),
        "Logout": LogoutRequest(refresh_token=NUMBER * 8),
        "Search": SearchRequest(query=LONG, collection_ids=[collection_id]),
        "BatchSearch": BatchSearchRequest(
            searches=[SearchRequest(query=f"{number} {LONG}") for number in range(50)], collection_ids=[collection_id]
        ),
        "FindSimilar": FindSimilarRequest(text=LONG, collection_ids=[collection_id]),
        "SuggestQueries": SuggestQueriesRequest(prefix="f", limit=20),
        "CountTokens": CountTokensRequest(texts=["river gate " * 8000] * 80),
        "Embed": EmbedRequest(texts=MANY, truncate=True),
        "Rerank": RerankRequest(query=LONG, texts=MANY),
        "CreateEmbeddings": CreateEmbeddingsRequest(input=Value(string_value=" ".join(MANY)), model="all-minilm-l6-v2"),
        "CreateCollection": CreateCollectionRequest(name=f"flood {NUMBER}"),
        "GetCollection": GetCollectionRequest(collection_id=collection_id),
        "ListDocuments": ListDocumentsRequest(collection_id=collection_id, page_size=1000),
        "UploadDocument": UploadDocumentRequest(collection_id=collection_id, name=f"{NUMBER}.txt"),
        "GetDocumentContent": GetDocumentContentRequest(document_id=document_id),
        "GetOperation": GetOperationRequest(operation_id=operation_id),
        "WatchOperation": WatchOperationRequest(operation_id=operation_id),
    }
    request = known.get(of.name) or empty(of)
    if isinstance(request, UploadDocumentRequest):
        request.content.data = f"{NUMBER} is the gate across the river.".encode()
    return request


@pytest.mark.abuse(31, 38)
@pytest.mark.parametrize("of", FLOODED, ids=lambda of: of.full_name.removeprefix("semantik."))
async def test_a_flood_of_one_user_leaves_the_others_as_fast_as_they_were(
    mesh: Mesh, ada: Person, stranger: Person, library: Path, of: MethodDescriptor, record_property: Callable[[str, object], None]
) -> None:
    """64 calls at once without end, by the dearest request there is; nobody else's call fails, or takes many times as long."""
    mine, theirs = [await _owned(person, library) for person in (ada, stranger)]
    await _measure(mesh, ada, mine[0], of, _dear(of, *theirs), stranger.token, record_property)


@dataclass(frozen=True)
class Guarded:
    """A mesh with the limits of a stranger's address as they are, and a user who came before they were met."""

    mesh: Mesh
    ada: Person
    owned: tuple[str, str, str]


@pytest.fixture(scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    directory = tmp_path_factory.mktemp("guarded")
    async with running(Options(data_dir=directory, port=None)) as mesh:
        allowed = os.environ.pop("REGISTRATIONS_PER_NETWORK")
        try:
            async with asyncio.timeout(90):
                await mesh.start()
                await mesh.wait_ready()
        finally:
            os.environ["REGISTRATIONS_PER_NETWORK"] = allowed
        async with Client(mesh.gateway.removeprefix("http://")) as client:
            ada = Person(await client.accounts.register("ada", "ada@example.org", PASSWORD), client)
            yield Guarded(mesh, ada, await _owned(ada, tmp_path_factory.mktemp("files")))


@every
@pytest.mark.abuse(31, 38)
@pytest.mark.parametrize("token", ["", "forged"])
@pytest.mark.parametrize("of", [*ANONYMOUS, *(method(f"{name}.v1.{rpc}") for name, rpc in (("auth", "UserService.GetMe"),
                                ("search", "SearchService.Search"), ("operation", "OperationService.WatchOperation")))],
                         ids=lambda of: of.full_name.removeprefix("semantik."))  # fmt: skip
async def test_a_flood_of_a_stranger_leaves_users_as_fast_as_they_were(
    guarded: Guarded, of: MethodDescriptor, token: str, record_property: Callable[[str, object], None]
) -> None:
    """Without credentials and with forged ones, from the same address."""
    await _measure(guarded.mesh, guarded.ada, guarded.owned[0], of, _dear(of, *guarded.owned), token, record_property)


async def _measure(
    mesh: Mesh, ada: Person, mine: str, of: MethodDescriptor, request: Message, token: str, record_property: Callable[[str, object], None]
) -> None:
    async with grpc.aio.insecure_channel(mesh.gateway.removeprefix("http://"), [("grpc.enable_retries", 0)]) as channel:
        asks = {
            "Search": _ask(channel, ada, "search.v1.SearchService.Search", SearchRequest(query="where is the gate", collection_ids=[mine])),
            "GetMe": _ask(channel, ada, "auth.v1.UserService.GetMe", GetMeRequest()),
            "GetCollection": _ask(channel, ada, "collection.v1.CollectionService.GetCollection", GetCollectionRequest(collection_id=mine)),
            "CountTokens": _ask(channel, ada, "embedding.v1.EmbeddingService.CountTokens", CountTokensRequest(texts=["a gate"])),
        }
        idle, flooded = [{name: list[float]() for name in asks} for _ in range(2)]
        await _time(asks, _RAMP_SECONDS)
        for _ in range(ROUNDS):
            await _time(asks, SECONDS, idle)
            async with _flood(mesh, of, request, token) as answers:
                await _time(asks, _RAMP_SECONDS)
                await _time(asks, SECONDS, flooded)
            assert sum(answers.values()) > 1, "there was no flood"
            assert answers.keys() <= {"OK", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED",
                                      "FAILED_PRECONDITION", "ALREADY_EXISTS", "UNAUTHENTICATED"}, answers  # fmt: skip
    for name in asks:
        record_property("flood_p99_ratio", round(_p99(flooded[name]) / _p99(idle[name]), 2))
    for name in asks:
        before, during = statistics.median(idle[name]), statistics.median(flooded[name])
        assert during < 5 * before + _SLACK, name


async def _owned(person: Person, library: Path) -> tuple[str, str, str]:
    """Make a collection with a few passages in it; returns its id, the document's and the operation's."""
    collection = await person.client.collections.create("floods")
    file = library / f"{collection.id}.txt"
    file.write_text("\n\n".join(f"The gate {number} is across the river." for number in range(30)))
    document, operation = await person.client.documents.upload(collection.id, file)
    async for _ in person.client.operations.watch(operation.id):
        pass
    return collection.id, document.id, operation.id


def _ask(channel: grpc.aio.Channel, person: Person, name: str, request: Message) -> Ask:
    of = method(name)
    call: Any = channel.unary_unary(f"/{of.containing_service.full_name}/{of.name}")
    content = request.SerializeToString()

    async def ask() -> object:
        return await call(content, metadata=(("authorization", f"Bearer {person.token}"),), timeout=20)

    return ask


async def _time(asks: dict[str, Ask], seconds: float, times: dict[str, list[float]] | None = None) -> None:
    """Call each in turn for so long; adds the seconds that each call took."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, ask in asks.items():
            started = time.monotonic()
            await ask()
            if times is not None:
                times[name].append(time.monotonic() - started)


@asynccontextmanager
async def _flood(mesh: Mesh, of: MethodDescriptor, request: Message, token: str) -> AsyncIterator[dict[str, int]]:
    """Flood from a process of its own during the block; gives how the calls ended, which is known after it."""
    path, address = f"/{of.containing_service.full_name}/{of.name}", mesh.gateway.removeprefix("http://")
    shape = ("stream" if of.client_streaming else "unary") + "_" + ("stream" if of.server_streaming else "unary")
    command = (sys.executable, "-P", "-m", "tests.e2e.flooder", address, path, shape, str(CALLS), str(SECONDS + 2 * _RAMP_SECONDS))
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    answers: dict[str, int] = {}
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write((f"Bearer {token}" if token else "").encode() + b"\n" + request.SerializeToString())
    process.stdin.close()
    assert await process.stdout.readline() == b"begun\n"
    yield answers
    output = await process.stdout.read()
    assert await process.wait() == 0
    answers.update(json.loads(output))


def _p99(times: list[float]) -> float:
    return sorted(times)[max(0, round(len(times) * 0.99) - 1)]
