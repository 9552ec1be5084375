"""What belongs to somebody else does not exist; what may be read may not therefore be changed."""

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from semantik.collection.v1 import collection_service_pb2, document_service_pb2, source_pb2, source_service_pb2
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1 import operation_internal_service_pb2, operation_pb2, operation_service_pb2
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from semantik.search.v1.neighbours_pb2 import ChunkReference
from semantik.search.v1.search_service_pb2 import BatchSearchRequest, FindSimilarRequest, SearchRequest
from semantik.search.v1.suggestion_pb2 import SuggestQueriesRequest
from tests.conftest import PASSWORD, Person
from tests.e2e.faces import Refusal, method, on_both, over_grpc

COLLECTIONS = "collection.v1.CollectionService"
DOCUMENTS = "collection.v1.DocumentService"
SOURCES = "collection.v1.SourceService"
OPERATIONS = "operation.v1.OperationService"
SEARCH = "search.v1.SearchService"


@dataclass(frozen=True)
class Holdings:
    """Something of each kind, of one owner; the operation waits on a queue that nobody reads."""

    collection: str
    source: str
    document: str
    operation: str


async def _holdings(person: Person, shelf: Path, peer: Callable[[str], grpc.aio.Channel], *, is_public: bool) -> Holdings:
    collection = await person.client.collections.create("holdings", is_public=is_public)
    (shelf / "secret.txt").write_text("The treasure is buried under the old oak.")
    source, indexing = await person.client.sources.add(collection.id, str(shelf))
    await person.client.operations.wait(indexing.id)
    [document] = [each async for each in person.client.documents.list(collection.id)]
    request = operation_internal_service_pb2.StartOperationRequest(
        request_id=uuid.uuid4().hex, collection_id=collection.id, kind=operation_pb2.Operation.KIND_SYNC, queue="nobody"
    )
    request.principal.user_id = person.user.id
    request.principal.role = person.user.role
    started = await OperationInternalServiceStub(peer("operation")).StartOperation(request)
    return Holdings(collection.id, source.id, document.id, started.operation.id)


def _add_source(collection_id: str, path: Path | str, request_id: str = "") -> source_service_pb2.AddSourceRequest:
    directory = source_pb2.DirectoryConfig(path=str(path))
    return source_service_pb2.AddSourceRequest(collection_id=collection_id, directory=directory, request_id=request_id)


def _reads(of: Holdings) -> list[tuple[str, Message]]:
    return [
        (f"{COLLECTIONS}.GetCollection", collection_service_pb2.GetCollectionRequest(collection_id=of.collection)),
        (f"{SOURCES}.ListSources", source_service_pb2.ListSourcesRequest(collection_id=of.collection)),
        (f"{SOURCES}.GetSource", source_service_pb2.GetSourceRequest(source_id=of.source)),
        (f"{DOCUMENTS}.ListDocuments", document_service_pb2.ListDocumentsRequest(collection_id=of.collection)),
        (f"{DOCUMENTS}.GetDocument", document_service_pb2.GetDocumentRequest(document_id=of.document)),
        (f"{DOCUMENTS}.GetDocumentContent", document_service_pb2.GetDocumentContentRequest(document_id=of.document)),
        (f"{OPERATIONS}.GetOperation", operation_service_pb2.GetOperationRequest(operation_id=of.operation)),
        (f"{OPERATIONS}.ListOperations", operation_service_pb2.ListOperationsRequest(collection_id=of.collection)),
        (f"{SEARCH}.Search", SearchRequest(collection_ids=[of.collection], query="treasure", explain=True, neighbours=1)),
        (f"{SEARCH}.BatchSearch", BatchSearchRequest(searches=[SearchRequest(collection_ids=[of.collection], query="treasure")])),
        (f"{SEARCH}.FindSimilar", FindSimilarRequest(collection_ids=[of.collection], text="treasure")),
        (f"{SEARCH}.SuggestQueries", SuggestQueriesRequest(collection_ids=[of.collection], prefix="s")),
        (f"{SEARCH}.FindSimilar", FindSimilarRequest(document_id=of.document)),
        (f"{SEARCH}.FindSimilar", FindSimilarRequest(chunk=ChunkReference(document_id=of.document))),
    ]


def _writes(of: Holdings, shelf: Path) -> list[tuple[str, Message]]:
    text = HttpBody(data=b"text", content_type="text/plain")
    return [
        (f"{COLLECTIONS}.UpdateCollection", collection_service_pb2.UpdateCollectionRequest(collection_id=of.collection, name="mine")),
        (f"{COLLECTIONS}.DeleteCollection", collection_service_pb2.DeleteCollectionRequest(collection_id=of.collection)),
        (f"{SOURCES}.AddSource", _add_source(of.collection, shelf)),
        (f"{SOURCES}.SyncSource", source_service_pb2.SyncSourceRequest(source_id=of.source)),
        (f"{DOCUMENTS}.RetryDocuments", document_service_pb2.RetryDocumentsRequest(collection_id=of.collection)),
        (f"{SOURCES}.RemoveSource", source_service_pb2.RemoveSourceRequest(source_id=of.source)),
        (
            f"{DOCUMENTS}.UploadDocument",
            document_service_pb2.UploadDocumentRequest(collection_id=of.collection, name="a.txt", content=text),
        ),
        (f"{DOCUMENTS}.DeleteDocument", document_service_pb2.DeleteDocumentRequest(document_id=of.document)),
        (f"{OPERATIONS}.CancelOperation", operation_service_pb2.CancelOperationRequest(operation_id=of.operation)),
    ]


def _watch(of: Holdings) -> tuple[str, Message]:
    return f"{OPERATIONS}.WatchOperation", operation_service_pb2.WatchOperationRequest(operation_id=of.operation)


@pytest.mark.abuse(7)
async def test_what_belongs_to_somebody_else_does_not_exist(
    gateway: grpc.aio.Channel,
    http: httpx.AsyncClient,
    peer: Callable[[str], grpc.aio.Channel],
    ada: Person,
    stranger: Person,
    shelf: Path,
) -> None:
    """Every RPC answers for it as for an id nobody ever had, word for word, and nothing of it changes."""
    hers = await _holdings(ada, shelf, peer, is_public=False)
    nobodys = Holdings(*(str(uuid.uuid4()) for _ in range(4)))
    bearer = f"Bearer {stranger.token}"

    async def answers(of: Holdings) -> dict[str, Refusal]:
        found = {}
        for name, request in [*_reads(of), *_writes(of, shelf), _watch(of)]:
            refused = await on_both(gateway, http, method(name), request, authorization=bearer)
            message = refused.message
            for identifier in (of.collection, of.source, of.document, of.operation):
                message = message.replace(identifier, "ID")
            found[name] = Refusal(refused.code, refused.reason, message)
        return found

    refused = await answers(hers)
    assert refused == await answers(nobodys)
    assert {each.code for each in refused.values()} == {"NOT_FOUND"}
    for name, request in _reads(hers):
        assert (await over_grpc(gateway, method(name), request, authorization=f"Bearer {ada.token}")).code == "OK"
    assert (await ada.client.operations.get(hers.operation)).state == operation_pb2.Operation.STATE_QUEUED


@pytest.mark.abuse(7)
async def test_foreign_ids_in_a_filter_find_nothing(
    peer: Callable[[str], grpc.aio.Channel], ada: Person, stranger: Person, shelf: Path
) -> None:
    """A filter narrows what the caller may read, and never widens it."""
    hers = await _holdings(ada, shelf, peer, is_public=False)
    own = await stranger.client.collections.create("own")
    found = await stranger.client.search("treasure", [own.id], document_ids=[hers.document])
    assert list(found.hits) == []
    found = await stranger.client.search("treasure", [own.id], source_ids=[hers.source])
    assert list(found.hits) == []
    assert [each async for each in stranger.client.operations.list(own.id)] == []
    assert [each async for each in stranger.client.collections.list(owned_only=True)] == [own]


@pytest.mark.abuse(8)
async def test_who_may_read_may_not_therefore_write(
    gateway: grpc.aio.Channel,
    http: httpx.AsyncClient,
    peer: Callable[[str], grpc.aio.Channel],
    ada: Person,
    stranger: Person,
    shelf: Path,
) -> None:
    """On a public collection every read is answered and every write is refused with the role it needs."""
    public = await _holdings(ada, shelf, peer, is_public=True)
    bearer = f"Bearer {stranger.token}"
    for name, request in _reads(public):
        assert (await on_both(gateway, http, method(name), request, authorization=bearer)).code == "OK", name
    for name, request in _writes(public, shelf):
        refused = await on_both(gateway, http, method(name), request, authorization=bearer)
        assert refused.why == ("PERMISSION_DENIED", "COLLECTION_ROLE_REQUIRED"), name
    # Private again, so that no other test meets it.
    assert (await ada.client.collections.update(public.collection, is_public=False)).document_count == 1


@pytest.mark.abuse(8)
@pytest.mark.parametrize(("role", "listing"), [("GUEST", ("PERMISSION_DENIED", "ROLE_REQUIRED")), ("USER", ("OK", ""))])
async def test_global_roles_gate_what_a_user_may_make(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, rows: psycopg.AsyncConnection, ada: Person, role: str, listing: tuple[str, str]
) -> None:
    """A USER makes no collections, a GUEST does not even list any; both see their own account."""
    await rows.execute("UPDATE auth.users SET role = %s WHERE id = %s", (role, ada.user.id))
    answer = await http.post("/v1/auth:login", json={"username": ada.user.username, "password": PASSWORD})
    bearer = f"Bearer {answer.json()['tokens']['accessToken']}"
    create, listed = method(f"{COLLECTIONS}.CreateCollection"), method(f"{COLLECTIONS}.ListCollections")
    refused = await on_both(gateway, http, create, collection_service_pb2.CreateCollectionRequest(name="a"), authorization=bearer)
    assert refused.why == ("PERMISSION_DENIED", "ROLE_REQUIRED")
    assert (await on_both(gateway, http, listed, collection_service_pb2.ListCollectionsRequest(), authorization=bearer)).why == listing
    assert (await http.get("/v1/users/me", headers={"authorization": bearer})).json()["user"]["role"] == f"ROLE_{role}"


@pytest.mark.abuse(22)
async def test_a_source_lies_below_an_allowed_root(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, shelf: Path) -> None:
    """Whatever leads out or is no file is refused alike, whether it is there or not."""
    collection = await ada.client.collections.create("papers")
    (shelf / "out").symlink_to("/etc")
    os.mkfifo(shelf / "pipe")
    outside = (
        "/etc",
        "/",
        "/nothing/here",
        "/proc/self/environ",
        "/proc/self/root/etc",
        "/dev/null",
        f"{shelf}/../../../../../../etc",
        f"{shelf}/out",
        f"{shelf}/out/passwd",
        f"{shelf}/pipe",
    )
    add = method(f"{SOURCES}.AddSource")
    said = set()
    for path in outside:
        request = _add_source(collection.id, path)
        said.add(await on_both(gateway, http, add, request, authorization=f"Bearer {ada.token}"))
    [refused] = said
    assert refused.why == ("PERMISSION_DENIED", "PATH_NOT_ALLOWED")


@pytest.mark.abuse(22)
async def test_what_leads_out_of_a_source_is_skipped(http: httpx.AsyncClient, ada: Person, shelf: Path) -> None:
    """Links out, pipes and links to directories are listed with the reason, on both faces, and never read."""
    (shelf / "note.txt").write_text("A note.")
    (shelf / "passwd.txt").symlink_to("/etc/passwd")
    (shelf / "environ.txt").symlink_to("/proc/self/environ")
    (shelf / "null.txt").symlink_to("/dev/null")
    (shelf / "etc").symlink_to("/etc")
    (shelf / "gone.txt").symlink_to(shelf / "nothing")
    os.mkfifo(shelf / "pipe.txt")
    collection = await ada.client.collections.create("papers")
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    assert (await ada.client.operations.wait(operation.id)).state == operation_pb2.Operation.STATE_SUCCEEDED
    documents = {each.path: (each.state, each.reason) async for each in ada.client.documents.list(collection.id)}
    answer = (await http.get(f"/v1/collections/{collection.id}/documents", headers=ada.headers)).json()["documents"]
    assert {each["path"]: each["reason"] for each in answer} == {
        path: Document.Reason.Name(reason) for path, (_, reason) in documents.items()
    }
    unsafe = (Document.STATE_SKIPPED, Document.REASON_UNSAFE_PATH)
    refused = documents.pop("gone.txt")
    assert refused[1] == Document.REASON_UNSAFE_PATH
    assert documents == {
        "note.txt": (Document.STATE_INDEXED, 0),
        "passwd.txt": unsafe,
        "environ.txt": unsafe,
        "null.txt": unsafe,
        "etc": unsafe,
        "pipe.txt": unsafe,
    }


@pytest.mark.abuse(27)
async def test_a_request_id_is_one_request(gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, shelf: Path) -> None:
    """The same again, by either face, is the same operation; another body is refused."""
    collection = await ada.client.collections.create("papers")
    (shelf / "note.txt").write_text("A note.")
    (shelf / "below").mkdir()
    source, first = await ada.client.sources.add(collection.id, str(shelf), request_id="once")
    body = {"directory": {"path": str(shelf)}, "requestId": "once"}
    again = (await http.post(f"/v1/collections/{collection.id}/sources", json=body, headers=ada.headers)).json()
    assert (again["source"]["id"], again["operation"]["id"]) == (source.id, first.id)
    add = method(f"{SOURCES}.AddSource")
    other = _add_source(collection.id, shelf / "below", request_id="once")
    refused = await on_both(gateway, http, add, other, authorization=f"Bearer {ada.token}")
    assert refused.why == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")

    synced = (await ada.client.sources.sync(source.id, "sync once")).id
    answer = await http.post(f"/v1/sources/{source.id}:sync", json={"requestId": "sync once"}, headers=ada.headers)
    assert answer.json()["operation"]["id"] == synced
    assert len([each async for each in ada.client.operations.list(collection.id)]) == 2

    upload, text = method(f"{DOCUMENTS}.UploadDocument"), HttpBody(data=b"first")
    sent = document_service_pb2.UploadDocumentRequest(collection_id=collection.id, name="a.txt", request_id="up", content=text)
    assert (await on_both(gateway, http, upload, sent, authorization=f"Bearer {ada.token}")).code == "OK"
    sent.content.data = b"second"
    assert (await on_both(gateway, http, upload, sent, authorization=f"Bearer {ada.token}")).reason == "REQUEST_ID_REUSED"


@pytest.mark.abuse(28)
async def test_cancelling_what_has_ended_changes_nothing(http: httpx.AsyncClient, ada: Person, shelf: Path) -> None:
    """Neither once nor twice, by either face."""
    collection = await ada.client.collections.create("papers")
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    ended = await ada.client.operations.wait(operation.id)
    assert await ada.client.operations.cancel(operation.id) == ended
    answer = await http.post(f"/v1/operations/{operation.id}:cancel", json={}, headers=ada.headers)
    assert (answer.status_code, answer.json()["operation"]["state"]) == (200, "STATE_SUCCEEDED")


@pytest.mark.abuse(8)
async def test_a_reader_does_not_see_where_files_lie_on_the_host(ada: Person, stranger: Person, shelf: Path) -> None:
    """Names and paths within the source, and nothing of what is above it; who may write sees all."""
    public = await ada.client.collections.create("shown", is_public=True)
    (shelf / "tides.txt").write_text("The tide comes twice a day.")
    _, operation = await ada.client.sources.add(public.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    for person, sees_all in ((ada, True), (stranger, False)):
        [source] = [each async for each in person.client.sources.list(public.id)]
        [document] = [each async for each in person.client.documents.list(public.id)]
        shown = f"{source} {document} {await person.client.documents.get(document.id)}"
        assert (str(shelf.parent) in shown) is sees_all
        assert (source.location.endswith(shelf.name), document.path) == (True, "tides.txt")
    await ada.client.collections.update(public.id, is_public=False)  # nobody else's test is to find it
