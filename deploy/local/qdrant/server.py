"""Serves Qdrant's gRPC protocol over the embedded engine, on one machine."""

import asyncio
import hmac
import logging
import signal
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from deploy.local.qdrant.building import Builder
from deploy.local.qdrant.collections import Collections
from deploy.local.qdrant.points import Points
from deploy.local.qdrant.protocol import messages as q
from deploy.local.qdrant.shards import Shards
from deploy.local.qdrant.values import RefusedError

log = logging.getLogger(__name__)
_MESSAGE_BYTES = 64 * 1024 * 1024
_VERSION = "1.20.0"
_DRAIN_SECONDS = 3.0
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES))


class Health(q.QdrantServicer):  # type: ignore[misc]
    async def HealthCheck(self, request: Any, context: Any) -> Any:
        return q.HealthCheckReply(title="qdrant - vector search engine (embedded)", version=_VERSION)


class ApiKeyInterceptor(grpc.aio.ServerInterceptor):
    """Checks the API key, and turns refusals and the engine's errors into statuses."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    async def intercept_service(self, continuation: Callable[..., Any], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or not details.method.startswith("/qdrant."):
            return handler
        presented = dict(details.invocation_metadata).get("api-key", "")
        allowed = not self._api_key or hmac.compare_digest(str(presented).encode(), self._api_key.encode())

        async def call(request: Any, context: Any) -> Any:
            if not allowed:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Must provide an API key or an Authorization bearer token")
            try:
                return await handler.unary_unary(request, context)
            except RefusedError as error:
                await context.abort(error.code, str(error))
            except NotImplementedError:
                await context.abort(
                    grpc.StatusCode.UNIMPLEMENTED, f"the embedded engine does not offer {details.method}; use a Qdrant server"
                )
            except Exception as error:
                log.exception("%s failed", details.method)
                await context.abort(grpc.StatusCode.INTERNAL, f"Service internal error: {error}")

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


async def serve(address: str, api_key: str, shards: Shards, builder: Builder) -> None:
    """Serve until SIGTERM or SIGINT; everything is flushed then."""
    server = grpc.aio.server(interceptors=[ApiKeyInterceptor(api_key)], options=_OPTIONS)
    q.add_CollectionsServicer_to_server(Collections(shards), server)
    q.add_PointsServicer_to_server(Points(shards), server)
    q.add_QdrantServicer_to_server(Health(), server)
    state = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    port = server.add_insecure_port(address)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start()
    await state.set("", health_pb2.HealthCheckResponse.SERVING)
    log.info("listening on port %d", port)
    beside = [asyncio.create_task(shards.tend()), asyncio.create_task(builder.run())]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([stopped, *beside], return_when=asyncio.FIRST_COMPLETED)
    await state.enter_graceful_shutdown()
    await server.stop(_DRAIN_SECONDS)
    for task in beside:
        task.cancel()
    ended, running = await asyncio.wait(beside, timeout=_DRAIN_SECONDS)
    await shards.close()
    for task in running:
        log.warning("%s did not end in time", task.get_coro())
    for task in ended:
        if not task.cancelled():
            task.result()
