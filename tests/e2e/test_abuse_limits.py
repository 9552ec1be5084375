"""Messages that are too large, too deep or too dear are refused by every service, on every face, and cost nobody else."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from deploy.local.supervisor import Mesh
from semantik.auth.v1.auth_service_pb2 import LoginRequest
from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_service_pb2 import ListDocumentsRequest
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1.filter_pb2 import Condition, Conditions, SearchFilter
from semantik.search.v1.search_service_pb2 import SearchRequest
from tests.conftest import Person
from tests.e2e.faces import PUBLIC, SOME_ID, method, on_both, over_grpc, refusal_of

INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")
MIB = 1024 * 1024
SEARCH = method("search.v1.SearchService.Search")
OF_EACH_SERVICE = {
    "auth": method("auth.v1.UserService.ListSessions"),
    "collection": method("collection.v1.CollectionService.CreateCollection"),
    "operation": method("operation.v1.OperationService.ListOperations"),
    "embedding": method("embedding.v1.EmbeddingService.CountTokens"),
    "search": SEARCH,
}


async def _raw(channel: grpc.aio.Channel, of: MethodDescriptor, sent: bytes, token: str, **options: Any) -> str:
    """Send bytes as the request and return the status."""
    call: Any = channel.unary_unary(f"/{of.containing_service.full_name}/{of.name}")
    try:
        await call(sent, metadata=(("authorization", f"Bearer {token}"),), timeout=20, **options)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def _length(size: int) -> bytes:
    """Return the length of a field as it is on the wire."""
    coded = bytearray()
    while size > 127:
        coded.append(size & 127 | 128)
        size >>= 7
    return bytes([*coded, size])


def _unknown_field(size: int) -> bytes:
    """Return a message that holds nothing but zeros, in a field that no service knows."""
    return b"\xa2\x06" + _length(size) + bytes(size)


@contextmanager
def _grows_little(mesh: Mesh, name: str, most: int) -> Iterator[None]:
    """Fail if the process has grown by more than ``most`` bytes."""
    process = psutil.Process(next(child.pid for child in mesh.children if child.spec.name == name))
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss - before < most


@pytest.mark.abuse(11, 12)
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "gzip"])
@pytest.mark.parametrize("service", OF_EACH_SERVICE)
async def test_no_service_reads_a_huge_message(
    mesh: Mesh, gateway: grpc.aio.Channel, port_of: Callable[[str], int], ada: Person, service: str, compression: grpc.Compression
) -> None:
    """Neither through the gateway nor past it, nor when 60 MiB come as 60 KiB; and its memory stays."""
    of, sent = OF_EACH_SERVICE[service], _unknown_field(60 * MIB)
    options = (("grpc.max_send_message_length", 64 * MIB),)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port_of(service)}", options) as direct:
        with _grows_little(mesh, service, 40 * MIB):
            assert await _raw(gateway, of, sent, ada.token, compression=compression) == "RESOURCE_EXHAUSTED"
            assert await _raw(direct, of, sent, ada.token, compression=compression) == "UNAUTHENTICATED"


@pytest.mark.abuse(12)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip"])
async def test_a_compressed_body_is_not_unpacked(http: httpx.AsyncClient, ada: Person, encoding: str) -> None:
    """JSON comes as it is."""
    headers = {**ada.headers, "content-encoding": encoding, "content-type": "application/json"}
    answer = await http.post("/v1/collections", content=b"\x1f\x8b\x08" + bytes(1000), headers=headers)
    assert (answer.status_code, refusal_of(answer).why) == (400, INVALID)


BODIES = [of for of in PUBLIC if of.GetOptions().Extensions[annotations_pb2.http].body == "*"]


@pytest.mark.abuse(13, 38)
@pytest.mark.parametrize("of", BODIES, ids=[each.name for each in BODIES])
async def test_deep_json_is_refused(http: httpx.AsyncClient, ada: Person, of: MethodDescriptor) -> None:
    """10,000 deep, whole or cut off, as the body or as a field of it."""
    rule = of.GetOptions().Extensions[annotations_pb2.http]
    verb = str(rule.WhichOneof("pattern"))
    path = getattr(rule, verb)
    for name in ("collection_id", "source_id", "operation_id", "model_id", "session_id"):
        path = path.replace(f"{{{name}}}", SOME_ID)
    field = of.input_type.fields[-1].name if of.input_type.fields else "anything"
    depth = 700 if "/auth:" in path else 10_000  # within what may be sent without having signed in
    for text in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, f'{{"{field}":' * depth, f'{{"{field}":{"[" * depth}'):
        headers = {**ada.headers, "content-type": "application/json"}
        answer = await http.request(verb.upper(), path, content=text.encode(), headers=headers)
        assert (answer.status_code, refusal_of(answer).why[1].upper()) == (400, "INVALID_REQUEST"), text[:40]


@pytest.mark.abuse(13)
@pytest.mark.parametrize("depth", [101, 10_000])
async def test_a_deep_message_is_refused(gateway: grpc.aio.Channel, ada: Person, depth: int) -> None:
    """Lists in lists, in the one field of the contract that takes any value."""
    message = b"\x1a\x00"
    for _ in range(depth):
        for tag in (b"\x0a", b"\x32"):
            message = tag + _length(len(message)) + message
    sent = b"\x0a" + _length(len(message)) + message + b"\x12\x01a"
    assert await _raw(gateway, method("embedding.v1.OpenAiService.CreateEmbeddings"), sent, ada.token) == "INVALID_ARGUMENT"


def _nested(levels: int) -> Condition:
    condition = Condition(language="de")
    for _ in range(levels - 1):
        condition = Condition(none_of=Conditions(conditions=[condition]))
    return condition


@pytest.mark.abuse(18)
async def test_a_filter_has_an_end(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, collection: Collection) -> None:
    """10,000 clauses of each kind, 50 levels, a clause that is none, and more states than there are."""
    bearer = f"Bearer {ada.token}"
    filters = [
        SearchFilter(document_ids=[SOME_ID] * 10_000),
        SearchFilter(source_ids=[SOME_ID] * 10_000),
        SearchFilter(mime_types=["a/b"] * 10_000),
        SearchFilter(mime_types=["a" * 201]),
        SearchFilter(mime_types=[""]),
        SearchFilter(document_ids=["(a+)+$"]),
        SearchFilter(condition=Condition(any_of=Conditions(conditions=[Condition(language="de")] * 10_000))),
        SearchFilter(condition=_nested(9)),
        SearchFilter(condition=_nested(25)),
        SearchFilter(condition=Condition()),
        SearchFilter(condition=Condition(mime_type="")),
    ]
    for each in filters:
        request = SearchRequest(collection_ids=[collection.id], query="whales", filter=each)
        refused = await on_both(gateway, http, SEARCH, request, authorization=bearer)
        assert (*refused.why, refused.message.split(".")[0]) == (*INVALID, "filter")
    states = ListDocumentsRequest(collection_id=collection.id, states=[1] * 10_000)  # type: ignore[list-item]
    assert (await over_grpc(gateway, method("collection.v1.DocumentService.ListDocuments"), states, authorization=bearer)).why == INVALID
    for text in ("(a+)+$", "x " * 101, "(" * 50 + "x" + ")" * 50, "-" * 2000, "regex:x", "mime:", '"', "OR"):
        request = SearchRequest(collection_ids=[collection.id], query="whales", filter_text=text)
        refused = await on_both(gateway, http, SEARCH, request, authorization=bearer)
        assert (*refused.why, refused.message.split(":")[0]) == (*INVALID, "filter_text"), text
    for body in (
        '{"condition":{"regex":"(a+)+$"}}',
        '{"condition":{"allOf":[]}}',
        '{"condition":{}}',
        '{"regex":"(a+)+$"}',
        '{"documentIds":{"$ne":null}}',
        '"*"',
        "[]",
        '{"documentIds":"*"}',
    ):
        sent = f'{{"collectionIds":["{collection.id}"],"query":"whales","filter":{body}}}'
        answer = await http.post("/v1/search", content=sent, headers={**ada.headers, "content-type": "application/json"})
        assert (answer.status_code, refusal_of(answer).why) == (400, INVALID), body


GLOBS = ["*a" * 99 + "b", "a*" * 100, "**/" * 66 + "b", "[!a]" * 50, "?" * 200, "[" * 200, "*" * 200, "{a,b}" * 40]


@pytest.mark.abuse(18, 38)
async def test_a_glob_is_cheap_to_match(ada: Person, collection: Collection, shelf: Path) -> None:
    """A hundred of those that make a matcher go back, against names made for them; the sync ends as any other."""
    for number in range(20):
        (shelf / ("a" * 200 + f"{number}.txt")).write_text("whales")
    started = time.monotonic()
    globs = [glob[:-2] + f"{number:02}" for number in range(12) for glob in GLOBS][:100]
    _, operation = await ada.client.sources.add(collection.id, str(shelf), exclude=globs)
    ended = await asyncio.wait_for(ada.client.operations.wait(operation.id), 30)
    assert (ended.state, time.monotonic() - started < 30) == (Operation.STATE_SUCCEEDED, True)
    with pytest.raises(SemantikError) as caught:
        await ada.client.sources.add(collection.id, str(shelf), exclude=["a"] * 101)
    assert (caught.value.code, caught.value.reason) == INVALID


@pytest.mark.abuse(39)
async def test_no_spelling_of_a_path_carries_a_large_anonymous_body(gateway: grpc.aio.Channel, http: httpx.AsyncClient) -> None:
    """The limit of those who have not signed in holds on each face and for each way to write the route."""
    body = json.dumps({"username": "a" * 17_000, "password": "b"}).encode()
    paths = ("/v1/auth:login", "/v1/auth%3alogin", "/v1/auth%3Alogin", "/v1//auth:login", "/v1/./auth:login", "/v1/a/../auth:login")
    for path in (*paths, "/v1/auth:login/", "/v1/auth:login?", "/v1/auth:login?a=b", "/V1/auth:login"):
        for kind in ("application/json", "text/plain", "application/grpc-web-text", ""):
            answer = await http.post(path, content=body, headers={"content-type": kind} if kind else {})
            assert answer.status_code in (400, 404, 413, 415) or answer.headers.get("grpc-status", "0") != "0", (path, kind)
    refused = await over_grpc(gateway, method("auth.v1.AuthService.Login"), LoginRequest(username="a" * 7_000_000, password="b"))
    assert refused.code in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
