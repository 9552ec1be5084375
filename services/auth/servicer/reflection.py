"""Reflection for clients of the gateway: it describes the public services, of all packages, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from libs.rpc import contract
from libs.rpc.boundary import Context

# All streams together take at most a fifth of the event loop's time: nobody signs in here to ask.
_PAUSES = 4.0


class ReflectionServicer:
    """Answers as ``grpc.reflection`` does, whose versions have the same messages; the contract is read when it is first asked for."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._contract: Any = None

    async def ServerReflectionInfo(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[Any]:
        async for request in requests:
            async with self._turn:
                if self._contract is None:
                    self._contract = await asyncio.to_thread(_public_contract)
                started = time.perf_counter()
                answers = [answer async for answer in self._contract.ServerReflectionInfo(_alone(request), context)]
                await asyncio.sleep((time.perf_counter() - started) * _PAUSES)
            for answer in answers:
                yield answer


def add_reflection(servicer: ReflectionServicer, server: grpc.aio.Server) -> None:
    """Serve it under a name of its own: ``grpc.reflection.v1alpha`` is each service's own description, internal parts included."""
    messages = reflection_pb2
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo, messages.ServerReflectionRequest.FromString, messages.ServerReflectionResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(contract.REFLECTION, {"ServerReflectionInfo": handler}),))


def _public_contract() -> Any:
    """Return the library's servicer over a pool that holds the public files alone."""
    pool = DescriptorPool()
    for file in contract.descriptor_set().file:
        pool.Add(file)
    return reflection.aio.ReflectionServicer([service.full_name for service in contract.public_services()], pool)


async def _alone(request: Any) -> AsyncIterator[Any]:
    yield request
