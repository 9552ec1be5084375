"""The embedding service as a process of its own, for the benchmarks."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.ports import is_free
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity, new_key
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceAsyncStub


@asynccontextmanager
async def embedding_service(home: Path, threads: int) -> "AsyncIterator[tuple[EmbeddingInternalServiceAsyncStub, int]]":
    """Run it with its models in ``home``; yields a stub and the process's id once the default model is loaded."""
    key = home / "mesh.pem"
    key.write_bytes(new_key())
    port = next(number for number in range(20100, 30000) if is_free(number))
    environment = {
        "PATH": "/usr/bin:/bin",
        "LISTEN_ADDRESS": f"127.0.0.1:{port}",
        "MODEL_DIR": str(home),
        "MESH_KEY_FILE": str(key),
        "AUTH_ADDRESS": "127.0.0.1:1",
        "LOG_LEVEL": "ERROR",
        "BULK_THREADS": str(threads),
    }
    service = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "services.embedding", env=environment)
    try:
        async with channels.connect(f"127.0.0.1:{port}", "embedding", MeshIdentity("bench", key.read_bytes())) as channel:
            stub = EmbeddingInternalServiceStub(channel)
            await stub.EmbedBatch(messages.EmbedBatchRequest(texts=["ready"]), timeout=120, wait_for_ready=True)
            yield stub, service.pid
    finally:
        service.terminate()
        await service.wait()
