"""A server between a client and the engine: what comes through is noted and answered by the engine."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import qdrant_client.grpc
from google.protobuf.message_factory import GetMessageClass

_FILES: Any = qdrant_client.grpc
_SERVICES = {
    name: _FILES.points_service_pb2.DESCRIPTOR.services_by_name.get(name)
    or _FILES.collections_service_pb2.DESCRIPTOR.services_by_name[name]
    for name in ("Points", "Collections")
}


class Recorder(grpc.GenericRpcHandler):
    """Has each request as ``("Points/Query", message)``, in the order of their arrival."""

    def __init__(self, engine: grpc.aio.Channel) -> None:
        self.requests: list[tuple[str, Any]] = []
        self._engine = engine

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        path = handler_call_details.method
        service, method = path.rpartition(".")[2].split("/")
        kind = GetMessageClass(_SERVICES[service].methods_by_name[method].input_type)
        forward: Callable[..., Any] = self._engine.unary_unary(path)

        async def call(request: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
            self.requests.append((f"{service}/{method}", kind.FromString(request)))
            metadata = [pair for pair in context.invocation_metadata() or () if pair[0] == "api-key"]
            try:
                answer: bytes = await forward(request, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details() or "")
            return answer

        return grpc.unary_unary_rpc_method_handler(call)


@asynccontextmanager
async def recording(engine_port: int) -> AsyncIterator[tuple[Recorder, int]]:
    """Yield a recorder before the engine, and its port."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{engine_port}") as engine:
        recorder = Recorder(engine)
        server = grpc.aio.server(handlers=[recorder])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield recorder, port
        finally:
            await server.stop(None)
