"""Servers of our own in this process, on free ports, with handlers of the tests' making."""

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from joserfc.jwk import ECKey, KeySet

from libs.rpc.boundary import Access
from libs.rpc.identity import Verifier
from libs.rpc.mesh import MeshIdentity, new_key
from libs.rpc.server import Served, Server
from libs.rpc.settings import MeshSettings
from semantik.auth.v1 import auth_service_pb2 as messages
from tests import as_gateway

SERVICE = "semantik.tests.v1.EchoService"
_KEYS = json.dumps(KeySet([ECKey.generate_key("P-256", {"kid": "one"})]).as_dict(private=False))
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
Start = Callable[..., Awaitable[Server]]


async def some_keys() -> str:
    return _KEYS


async def no_revocations() -> AsyncIterator[Any]:
    yield []


def served(behaviors: Mapping[str, Any], access: Access = Access.ANYONE) -> Served:
    """Return a service whose methods are named after their kinds; they take and give LoginRequests."""

    def add(_: Any, server: Any) -> None:
        handlers = {
            kind: getattr(grpc, f"{kind}_rpc_method_handler")(
                behavior, messages.LoginRequest.FromString, messages.LoginRequest.SerializeToString
            )
            for kind, behavior in behaviors.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    return Served(SERVICE, add, object(), access)


@pytest.fixture(scope="session")
def mesh_identity() -> MeshIdentity:
    return MeshIdentity("tests", new_key())


@pytest.fixture
async def start(mesh_identity: MeshIdentity, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a server; what a test did not stop is stopped."""
    async with AsyncExitStack() as stack:

        async def started(*services: Served, settings: Mapping[str, Any] | None = None, **options: Any) -> Server:
            environment = {"mesh_key_file": tmp_path / "mesh.pem", "drain_seconds": 0.1} | dict(settings or {})
            options.setdefault("verifier", Verifier(some_keys, no_revocations))
            server = Server(MeshSettings.model_validate(environment), services, options.pop("mesh", mesh_identity), **options)
            await server.start()
            stack.push_async_callback(_stopped, server)
            return server

        yield started


async def _stopped(server: Server) -> None:
    if not server.draining.is_set():
        await server.stop()


@contextlib.asynccontextmanager
async def method(server: Server, kind: str) -> AsyncIterator[Any]:
    """Open the method of a kind as a bare client."""
    async with as_gateway.channel(f"127.0.0.1:{server.port}", server.mesh) as channel:
        yield getattr(channel, kind)(
            f"/{SERVICE}/{kind}",
            request_serializer=messages.LoginRequest.SerializeToString,
            response_deserializer=messages.LoginRequest.FromString,
        )
