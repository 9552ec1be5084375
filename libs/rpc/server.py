"""Runs one gRPC process from first bind to last drained call."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from libs.rpc import contract, limits
from libs.rpc.boundary import Access, Boundary, Interceptor
from libs.rpc.boundary.admit import Admit, Share, Users, Weigh
from libs.rpc.boundary.authenticate import Authenticate
from libs.rpc.boundary.observe import Observe
from libs.rpc.boundary.presence import Presence
from libs.rpc.boundary.refusals import Refusals
from libs.rpc.boundary.translate import Translate
from libs.rpc.boundary.validate import Validate
from libs.rpc.errors import Failure
from libs.rpc.health import Health, Probe
from libs.rpc.identity import Verifier
from libs.rpc.mesh import MeshIdentity
from libs.rpc.settings import MeshSettings

_STOP_SECONDS = 5.0

log = logging.getLogger(__name__)


class NotReadyError(Exception):
    """The service cannot do its work yet, or at the moment."""


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
    ``foreign`` adds protocols of other systems, which the boundary leaves alone: they know their callers themselves.
    ``share`` is what each user may have under way here; a message sent has at most ``answer_bytes``.
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
    share: Share = field(default_factory=Share)
    answer_bytes: int = limits.MESSAGE_BYTES
    foreign: Sequence[Callable[[Any], None]] = ()
    port: int = 0

    async def start(self) -> None:
        """Bind and answer; health says SERVING once the service is ready. ``port`` is the port bound."""
        access = {service.name: service.access for service in self.services}
        self._needs_verifier = bool({Access.SIGNED_IN, Access.MEMBER} & set(access.values()))
        # The one order of the interceptors, outermost first.
        users, refusals = Users(self.share, Presence(self.settings.presence_file)), Refusals()
        unread: list[Interceptor] = [Observe(), Authenticate(access, self.mesh, self.verifier, refusals), Admit(users, refusals)]
        read: list[Interceptor] = [Weigh(users), Validate(), Translate(self.translate)]
        self._server = grpc.aio.server(interceptors=[Boundary(access, unread, read)], options=_options(self.settings, self.answer_bytes))
        for service in self.services:
            service.add(service.servicer, self._server)
        for add in self.foreign:
            add(self._server)
        self._health = Health(["", *access, *self.capabilities], self._probe)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._server)
        described = [name for name in access if name != contract.REFLECTION]
        reflection.enable_server_reflection([*described, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        address, tls = self.settings.listen_address, self.mesh.tls
        self.port = self._server.add_secure_port(address, tls.server_credentials()) if tls else self._server.add_insecure_port(address)
        await self._server.start()
        log.info("listening on port %d", self.port)
        self._tasks = [asyncio.create_task(self._health.run(), name="health")]
        if self._needs_verifier:
            self._tasks.append(asyncio.create_task(self.verifier.run(), name="verifier"))
        self._tasks += [asyncio.create_task(_named(work), name=f"background {work}") for work in self.background]

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
        """Say NOT_SERVING, let calls under way finish, and stop; what does not end in time is logged and left behind."""
        self.draining.set()
        await self._health.drain()
        try:
            async with asyncio.timeout(self.settings.drain_seconds + _STOP_SECONDS):
                await self._server.stop(self.settings.drain_seconds)
        except TimeoutError:
            log.exception("calls did not end within %.0f s of being cancelled", _STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        _, pending = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
        for task in pending:
            log.error("did not end within %.0f s of being cancelled: %s", _STOP_SECONDS, task.get_name())
        log.info("stopped")

    async def _probe(self) -> None:
        if self._needs_verifier and not self.verifier.is_ready:
            raise NotReadyError("the keys and revocations of auth were not read yet")
        if self.ready is not None:
            await self.ready()


async def _named(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def _options(settings: MeshSettings, answer_bytes: int) -> Sequence[tuple[str, int]]:
    return (
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.MESSAGE_BYTES),
        ("grpc.max_send_message_length", answer_bytes),
        ("grpc.max_metadata_size", limits.METADATA_BYTES),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", limits.MIN_PING_SECONDS * 1000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.max_connection_age_ms", round(settings.max_connection_age_seconds * 1000)),
        ("grpc.max_connection_age_grace_ms", round(settings.max_connection_age_grace_seconds * 1000)),
    )
