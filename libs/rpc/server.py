"""Runs one gRPC process from first bind to last drained call."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from libs.rpc.boundary import Access, Boundary
from libs.rpc.errors import Failure
from libs.rpc.identity import Verifier
from libs.rpc.mesh import MeshIdentity
from libs.rpc.settings import MeshSettings

MESSAGE_BYTES = 8 * 1024 * 1024
_PROBE_SECONDS = 2.0
_PROBE_TIMEOUT = 3.0

log = logging.getLogger(__name__)
Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Served:
    """A gRPC service with its implementation: ``add`` is the generated ``add_XServicer_to_server``."""

    name: str
    add: Callable[[Any, Any], None]
    servicer: object
    access: Access


@dataclass
class Server:
    """A gRPC server with identity, validation, health and reflection.

    ``ready`` raises while the service cannot do its work; health follows it. ``draining`` is set when the process
    is asked to stop, so that open streams can end. ``background`` tasks run beside it: the process ends if one does.
    ``capabilities`` are names that health answers for besides the services': a probe that asks for another gets NOT_FOUND.
    """

    settings: MeshSettings
    services: Sequence[Served]
    mesh: MeshIdentity
    verifier: Verifier
    ready: Probe | None = None
    background: Sequence[Callable[[], Awaitable[None]]] = ()
    translate: Callable[[Exception], Failure | None] = lambda _: None
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    capabilities: Sequence[str] = ()
    port: int = 0

    async def start(self) -> None:
        """Bind and answer; health says SERVING once ``ready`` holds. ``port`` is the port bound."""
        boundary = Boundary({service.name: service.access for service in self.services}, self.mesh, self.verifier, self.translate)
        self._server = grpc.aio.server(interceptors=[boundary], options=_OPTIONS)
        for service in self.services:
            service.add(service.servicer, self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [service.name for service in self.services]
        self._names = ["", *names, *self.capabilities]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self.port = self._server.add_insecure_port(self.settings.listen_address)
        await self._set_health(serving=False)
        await self._server.start()
        log.info("listening on port %d", self.port)
        self._tasks = [asyncio.create_task(self._probe()), asyncio.create_task(self.verifier.run())]
        self._tasks += [asyncio.create_task(_named(work)) for work in self.background]

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.draining.set)
        await self.start()
        stop = asyncio.create_task(self.draining.wait())
        done, _ = await asyncio.wait([stop, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        await self.stop()
        stop.cancel()
        for task in done - {stop}:
            task.result()

    async def stop(self) -> None:
        """Say NOT_SERVING, let calls under way finish, and stop."""
        self.draining.set()
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self.settings.drain_seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        log.info("stopped")

    async def _probe(self) -> None:
        serving = False
        while True:
            try:
                if self.ready is not None:
                    await asyncio.wait_for(self.ready(), _PROBE_TIMEOUT)
                now = True
            except Exception as error:  # noqa: BLE001 - whatever it was, the service cannot work
                now = False
                if serving:
                    log.warning("not ready: %s", type(error).__name__)
            if now != serving and not self.draining.is_set():
                serving = now
                await self._set_health(serving=serving)
            await asyncio.sleep(_PROBE_SECONDS if serving else 0.2)

    async def _set_health(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in self._names:
            await self._health.set(name, status)


async def _named(work: Callable[[], Awaitable[None]]) -> None:
    await work()


_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
