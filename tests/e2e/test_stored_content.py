"""What users stored cannot act when it is read back, on the wire as a browser or a proxy sees it."""

import asyncio

import grpc
import httpx
import psycopg
import pytest
from google.api.httpbody_pb2 import HttpBody

from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_service_pb2 import GetDocumentContentRequest, UploadDocumentRequest
from semantik.collection.v1.document_service_pb2_grpc import DocumentServiceStub
from tests.conftest import Person

_SCRIPT = b"<script>fetch('/v1/collections')</script>"


async def _upload(gateway: grpc.aio.Channel, person: Person, collection: Collection, content_type: str) -> str:
    request = UploadDocumentRequest(collection_id=collection.id, name="page.txt", content=HttpBody(data=_SCRIPT, content_type=content_type))
    answer = await DocumentServiceStub(gateway).UploadDocument(iter([request]), metadata=tuple(person.headers.items()))
    return str(answer.document.id)


async def _raw(http: httpx.AsyncClient, person: Person, path: str) -> bytes:
    """Return all bytes of an HTTP/1.1 answer, as they are on the wire."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    try:
        lines = (f"GET {path} HTTP/1.1", "host: x", "connection: close", f"authorization: Bearer {person.token}", "", "")
        writer.write("\r\n".join(lines).encode())
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.abuse(35)
@pytest.mark.parametrize("content_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "TEXT/HTML; charset=utf-8"])
async def test_an_active_type_comes_back_as_bytes_to_save(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, collection: Collection, content_type: str
) -> None:
    """Neither shown in place, nor guessed, nor run, nor framed."""
    document_id = await _upload(gateway, ada, collection, content_type)
    answer = await http.get(f"/v1/documents/{document_id}/content?kind=CONTENT_KIND_ORIGINAL", headers=ada.headers)
    assert (answer.status_code, answer.content) == (200, _SCRIPT)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'; sandbox"


@pytest.mark.abuse(35)
@pytest.mark.parametrize("kind", ["ORIGINAL", "TEXT"])
async def test_what_stands_in_the_tables_splits_no_answer(
    gateway: grpc.aio.Channel, http: httpx.AsyncClient, ada: Person, collection: Collection, rows: psycopg.AsyncConnection, kind: str
) -> None:
    """Not even where a row holds line ends, from an older version or another hand."""
    document_id = await _upload(gateway, ada, collection, "text/plain")
    evil = "text/plain\r\nset-cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"
    await rows.execute(
        "UPDATE collection.document_artifacts SET mime_type = %s, charset = %s WHERE document_id = %s AND kind = 'ORIGINAL'",
        (evil, "utf-8\r\nx-evil: 1", document_id),
    )
    raw = await _raw(http, ada, f"/v1/documents/{document_id}/content?kind=CONTENT_KIND_{kind}")
    assert raw.count(b"HTTP/1.1 ") == 1
    assert b"set-cookie" not in raw.lower()
    assert b"x-evil" not in raw.lower()
    request = GetDocumentContentRequest(document_id=document_id, kind=GetDocumentContentRequest.CONTENT_KIND_ORIGINAL)
    parts = [part async for part in DocumentServiceStub(gateway).GetDocumentContent(request, metadata=tuple(ada.headers.items()))]
    assert {part.content_type for part in parts} == {"application/octet-stream"}


@pytest.mark.abuse(35)
async def test_every_answer_is_no_page(http: httpx.AsyncClient) -> None:
    """Errors too, and what has no path."""
    for path in ("/v1/collections", "/v1/nothing", "/healthz", "/", "/v1/auth:login"):
        answer = await http.get(path)
        assert answer.headers["content-security-policy"].endswith("sandbox"), path
        assert answer.headers["x-content-type-options"] == "nosniff", path
