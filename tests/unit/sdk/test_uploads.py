"""Uploads of the SDK, to a server that refuses them early."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from semantik.client import Client, SemantikError
from semantik.collection.v1 import document_service_pb2 as messages
from semantik.collection.v1 import document_service_pb2_grpc

_CALLS = 400


class _Refusing(document_service_pb2_grpc.DocumentServiceServicer):
    async def UploadDocument(
        self,
        request_iterator: AsyncIterator[messages.UploadDocumentRequest],
        context: "grpc.aio.ServicerContext[messages.UploadDocumentRequest, messages.UploadDocumentResponse]",
    ) -> messages.UploadDocumentResponse:
        await anext(request_iterator)
        await anext(request_iterator)
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        raise AssertionError


async def test_a_refusal_in_the_middle_of_an_upload_arrives(tmp_path: Path) -> None:
    """One in a hundred was reported as INTERNAL: grpcio loses an answer that arrives while a part is being sent."""
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(3_000_000))
    server = grpc.aio.server()
    document_service_pb2_grpc.add_DocumentServiceServicer_to_server(_Refusing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    answers: Counter[tuple[str, str]] = Counter()
    try:
        async with Client(f"127.0.0.1:{port}") as client:
            for _ in range(_CALLS):
                with pytest.raises(SemantikError) as caught:
                    await client.documents.upload("collection", large)
                answers[caught.value.code, caught.value.message] += 1
    finally:
        await server.stop(0)
    assert answers == {("RESOURCE_EXHAUSTED", "full"): _CALLS}
