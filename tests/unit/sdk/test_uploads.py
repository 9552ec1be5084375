"""Uploads of the SDK, to a server that refuses them early."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from semantik.client import Client, SemantikError

_CALLS = 400


async def _refuse(parts: AsyncIterator[bytes], context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
    await anext(parts)
    await anext(parts)
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    raise AssertionError


async def test_a_refusal_in_the_middle_of_an_upload_arrives(tmp_path: Path) -> None:
    """One in a hundred was reported as INTERNAL: grpcio loses an answer that arrives while a part is being sent."""
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(3_000_000))
    server = grpc.aio.server()
    methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {"UploadDocument": grpc.stream_unary_rpc_method_handler(_refuse)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("semantik.collection.v1.DocumentService", methods)])
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
