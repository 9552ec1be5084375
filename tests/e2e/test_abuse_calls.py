"""Calls that are repeated, watched after their end, cut short, left, or of no method or field that there is."""

import asyncio
import json
import re
import struct
from pathlib import Path

import grpc
import httpx
import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.supervisor import Mesh
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_service_pb2 import UploadDocumentRequest
from semantik.collection.v1.document_service_pb2_grpc import DocumentServiceStub
from semantik.collection.v1.source_pb2 import DirectoryConfig
from semantik.collection.v1.source_service_pb2 import AddSourceRequest
from semantik.collection.v1.source_service_pb2_grpc import SourceServiceStub
from semantik.operation.v1.operation_pb2 import Operation
from semantik.operation.v1.operation_service_pb2 import WatchOperationRequest
from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceStub
from semantik.search.v1.search_service_pb2 import SearchRequest
from semantik.search.v1.search_service_pb2_grpc import SearchServiceStub
from tests.conftest import Person
from tests.e2e.faces import PUBLIC, SOME_ID, empty, refusal_of

AT_ONCE = 8
GUARDED = [each for each in PUBLIC if each.containing_service.name != "AuthService"]
VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@pytest.mark.abuse(27)
async def test_one_request_id_at_once_is_one_request(gateway: grpc.aio.Channel, ada: Person, collection: Collection, shelf: Path) -> None:
    """However many come in the same moment: one source or document, and one operation."""
    (shelf / "a.txt").write_text("whales")
    bearer = tuple(ada.headers.items())
    add = AddSourceRequest(collection_id=collection.id, directory=DirectoryConfig(path=str(shelf)), request_id="at once")
    added = await asyncio.gather(*(SourceServiceStub(gateway).AddSource(add, metadata=bearer) for _ in range(AT_ONCE)))
    assert len({(each.source.id, each.operation.id) for each in added}) == 1
    upload = UploadDocumentRequest(collection_id=collection.id, name="b.txt", request_id="at once too")
    upload.content.data = b"more whales"
    stub = DocumentServiceStub(gateway)
    uploads = await asyncio.gather(*(stub.UploadDocument(iter([upload]), metadata=bearer) for _ in range(AT_ONCE)))
    assert len({(each.document.id, each.operation.id) for each in uploads}) == 1
    assert len([each async for each in ada.client.sources.list(collection.id)]) == 2  # the folder's and that of uploads


@pytest.mark.abuse(28)
async def test_what_has_ended_is_watched_and_cancelled_without_an_effect(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, collection: Collection, shelf: Path
) -> None:
    """One message and the end, on both faces and for many at once; a cancel says what is."""
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    ended = await ada.client.operations.wait(operation.id)
    assert ended.state == Operation.STATE_SUCCEEDED

    async def watched() -> list[Operation]:
        call = OperationServiceStub(gateway).WatchOperation(
            WatchOperationRequest(operation_id=operation.id), metadata=tuple(ada.headers.items()), timeout=20
        )
        return [each.operation async for each in call]

    assert await asyncio.gather(*(watched() for _ in range(AT_ONCE))) == [[ended]] * AT_ONCE
    cancelled = await asyncio.gather(*(ada.client.operations.cancel(operation.id) for _ in range(AT_ONCE)))
    assert cancelled == [ended] * AT_ONCE
    answer = await http.get(f"/v1/operations/{operation.id}:watch", headers=ada.headers)
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert [each["operation"]["state"] for each in events] == ["STATE_SUCCEEDED"]


def _route(of: MethodDescriptor) -> tuple[str, str, bool]:
    """Return the verb, the path and whether the body is the request."""
    rule = of.GetOptions().Extensions[annotations_pb2.http]
    verb = str(rule.WhichOneof("pattern"))
    path = getattr(rule, verb)
    for field in of.input_type.fields:
        path = path.replace(f"{{{field.name}}}", SOME_ID)
    return verb.upper(), path, rule.body == "*"


@pytest.mark.abuse(29, 36)
@pytest.mark.parametrize("of", GUARDED, ids=[each.name for each in GUARDED])
async def test_each_route_takes_its_own_verb_and_fields_alone(http: httpx.AsyncClient, ada: Person, of: MethodDescriptor) -> None:
    """A parameter or field that is unknown or said twice, and every other verb, is refused and has no effect."""
    verb, path, has_body = _route(of)
    taken = {each for each, other, _ in map(_route, PUBLIC) if other == path}
    for other in (each for each in VERBS if each not in taken):
        answer = await http.request(other, path, headers=ada.headers)
        assert (answer.status_code, refusal_of(answer).reason) == (404, "ROUTE_NOT_FOUND"), other
    headers = {**ada.headers, "content-type": "application/json"} if has_body else ada.headers
    for query in ("nonsense=1", "__proto__=1", "owner_id=a", "page_token=a&page_token=b", "page_token=a&pageToken=b"):
        answer = await http.request(verb, f"{path}?{query}", content=b"{}" if has_body else None, headers=headers)
        assert (answer.status_code, refusal_of(answer).reason.upper()) == (400, "INVALID_REQUEST"), query
    for text in ('{"nonsense":1}', '{"a":1,"a":2}', '{"ownerId":"a"}', "[]", "1", '"a"', "{") if has_body else ():
        answer = await http.request(verb, path, content=text.encode(), headers=headers)
        assert (answer.status_code, refusal_of(answer).reason.upper()) == (400, "INVALID_REQUEST"), text


async def _within(http: httpx.AsyncClient, ada: Person, of: MethodDescriptor, given: str | None) -> str:
    """Return the status of a call by gRPC-Web, whose client leaves it to the server to keep the time."""
    sent = empty(of).SerializeToString()
    headers = {**ada.headers, "content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    headers |= {} if given is None else {"grpc-timeout": given}
    content = struct.pack(">BI", 0, len(sent)) + sent
    answer = await http.post(f"/{of.containing_service.full_name}/{of.name}", content=content, headers=headers)
    trailer = re.search(rb"grpc-status:\s*(\d+)", answer.content)
    number = int(trailer[1] if trailer else answer.headers.get("grpc-status", "-1"))
    return next((each.name for each in grpc.StatusCode if each.value[0] == number), str(answer.status_code))


@pytest.mark.abuse(30)
@pytest.mark.parametrize("of", GUARDED, ids=[each.name for each in GUARDED])
async def test_a_deadline_of_ten_years_is_as_good_as_none(http: httpx.AsyncClient, ada: Person, of: MethodDescriptor) -> None:
    """The answer is the same, and comes as soon."""
    usual = await _within(http, ada, of, None)
    for given in ("87600H", "99999999H"):
        assert await _within(http, ada, of, given) == usual


@pytest.mark.abuse(30)
async def test_a_deadline_that_is_over_is_called_that_by_grpc_web(http: httpx.AsyncClient, ada: Person) -> None:
    """UNAVAILABLE would be tried again, though there is no time left."""
    answers = {(given, of.name): await _within(http, ada, of, given) for of in GUARDED for given in ("1n", "1u", "1m")}
    assert {each for each in answers.items() if each[1] != "DEADLINE_EXCEEDED" and each[0][0] != "1m"} == set()
    assert set(answers.values()) <= {"DEADLINE_EXCEEDED", "OK", "NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED"}


async def _searching(mesh: Mesh) -> float:
    """Return how many searches run, in the search service and as batches of the embedding service."""
    count = 0.0
    async with httpx.AsyncClient() as client:
        for child in mesh.children:
            if child.spec.name in ("search", "embedding"):
                answer = await client.get(f"http://{child.spec.environment['METRICS_ADDRESS']}/metrics")
                families = text_string_to_metric_families(answer.text)
                samples = [each for family in families for each in family.samples if each.name == "semantik_rpc_running"]
                count += sum(
                    each.value for each in samples if each.labels["method"].split("/")[-1] in ("Search", "EmbedBatch", "EmbedQuery")
                )
    return count


@pytest.mark.abuse(30)
@pytest.mark.parametrize("face", ["gRPC", "JSON"])
async def test_a_search_that_is_left_costs_nothing_more(
    mesh: Mesh, gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, collection: Collection, shelf: Path, face: str
) -> None:
    """The services behind the gateway stop soon after the caller goes, by either face."""
    (shelf / "a.txt").write_text("whales")
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    queries = [f"{number} " + "whale song " * 700 for number in range(20)]

    async def search(query: str) -> object:
        if face == "gRPC":
            request = SearchRequest(collection_ids=[collection.id], query=query)
            return await SearchServiceStub(gateway).Search(request, metadata=tuple(ada.headers.items()))
        return await http.post("/v1/search", json={"collectionIds": [collection.id], "query": query}, headers=ada.headers)

    running = [asyncio.ensure_future(search(query)) for query in queries]
    await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    for each in running:
        each.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    async with asyncio.timeout(5):  # a second where nothing else runs
        while await _searching(mesh):  # noqa: ASYNC110 - it changes in other processes
            await asyncio.sleep(0.05)
