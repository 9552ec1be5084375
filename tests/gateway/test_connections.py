"""Connections to the services come and go; calls do not notice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from google.api.httpbody_pb2 import HttpBody

from semantik.collection.v1 import document_service_pb2
from semantik.collection.v1.document_service_pb2_grpc import DocumentServiceStub
from tests.gateway.conftest import gateway
from tests.gateway.standin import StandIn

# gRPC spreads the age by a tenth either way.
_AGE = (("grpc.max_connection_age_ms", 100), ("grpc.max_connection_age_grace_ms", 20_000))


async def test_a_service_may_close_its_connections_by_age(tmp_path: Path) -> None:
    """No call fails, not even one that is never sent twice, and a stream lasts longer than its connection's age."""
    standin = StandIn(_AGE)
    await standin.start()
    connections = 10

    async def parts() -> AsyncIterator[document_service_pb2.UploadDocumentRequest]:
        while len(standin.peers) < connections:
            yield document_service_pb2.UploadDocumentRequest(name="a.txt", content=HttpBody(data=b"x"))
            await asyncio.sleep(0.01)

    async def call(stub: DocumentServiceStub) -> int:
        count = 0
        while len(standin.peers) < connections:
            await stub.RetryDocuments(document_service_pb2.RetryDocumentsRequest())  # type: ignore[misc]
            count += 1
        return count

    try:
        async with (
            gateway(standin.port, tmp_path) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
            asyncio.timeout(60),
            asyncio.TaskGroup() as tasks,
        ):
            upload = tasks.create_task(_upload(channel, parts()))
            calls = [tasks.create_task(call(DocumentServiceStub(channel))) for _ in range(4)]
    finally:
        await standin.server.stop(0)
    assert (await upload).document.size_bytes == standin.uploaded
    assert sum([await task for task in calls]) == standin.calls["RetryDocuments"]


async def _upload(
    channel: grpc.aio.Channel, parts: AsyncIterator[document_service_pb2.UploadDocumentRequest]
) -> document_service_pb2.UploadDocumentResponse:
    return await DocumentServiceStub(channel).UploadDocument(parts)
