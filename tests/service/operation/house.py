"""The operation service as a process of its own, over a real Postgres, with stand-ins for auth and collection."""

import asyncio
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from deploy.local.child import Child, Spec
from deploy.local.postgres import Postgres
from deploy.local.ready import grpc_health
from libs.db.migrate import upgrade
from libs.rpc import channels
from libs.rpc.errors import Failure, not_found
from libs.rpc.mesh import MeshIdentity, new_key
from semantik.auth.v1 import auth_internal_service_pb2 as auth_messages
from semantik.auth.v1 import auth_internal_service_pb2_grpc as auth_grpc
from semantik.collection.v1 import collection_internal_service_pb2 as collection_messages
from semantik.collection.v1 import collection_internal_service_pb2_grpc as collection_grpc
from semantik.collection.v1.grant_pb2 import Grant
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as internal_messages
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceStub
from tests import as_gateway
from tests.servers import child, postgres

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

Context = Any
_DATABASE = "house"
# Everything that takes seconds takes tenths of them here.
SETTINGS = {
    "LEASE_SECONDS": "8",
    "RENEW_SECONDS": "3",
    "SWEEP_SECONDS": "0.1",
    "SLOT_CHECK_SECONDS": "0.1",
    "SHORT_SLOT_SECONDS": "0.3",
    "LONG_SLOT_SECONDS": "0.6",
    "REPEAT_SECONDS": "0.5",
}


class AuthStandIn(auth_grpc.AuthInternalServiceServicer):
    """Publishes one key and signs with it."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256", {"kid": "one"})

    def token(self, user_id: str) -> str:
        now = int(time.time())
        claims = {"iss": "semantik", "aud": "semantik", "sub": user_id, "sid": str(uuid.uuid4()), "role": "POWER_USER"}
        header = {"alg": "ES256", "typ": "at+jwt", "kid": "one"}
        return jwt.encode(header, {**claims, "iat": now, "exp": now + 900}, self._key, algorithms=["ES256"])

    async def GetVerificationKeys(self, request: Any, context: Context) -> auth_messages.GetVerificationKeysResponse:
        return auth_messages.GetVerificationKeysResponse(jwks=json.dumps(KeySet([self._key]).as_dict(private=False)))

    async def ListRevocations(self, request: Any, context: Context) -> auth_messages.ListRevocationsResponse:
        return auth_messages.ListRevocationsResponse()


class CollectionStandIn(collection_grpc.CollectionInternalServiceServicer):
    """Knows who has which role where, and which starts were not delivered."""

    def __init__(self) -> None:
        self.grants: dict[tuple[str, str], int] = {}
        self.pending: dict[str, internal_messages.StartOperationRequest] = {}
        self.failed: asyncio.Queue[collection_messages.MarkCollectionFailedRequest] = asyncio.Queue()

    async def AuthorizeCollections(
        self, request: collection_messages.AuthorizeCollectionsRequest, context: Context
    ) -> collection_messages.AuthorizeCollectionsResponse:
        for collection_id in request.collection_ids:
            role = self.grants.get((request.principal.user_id, collection_id), 0)
            if role == 0:
                await not_found("collection", collection_id).abort(context)
            if role < request.role:
                reason = ErrorReason.ERROR_REASON_COLLECTION_ROLE_REQUIRED
                await Failure(grpc.StatusCode.PERMISSION_DENIED, reason, "no", {"role": "WRITE"}).abort(context)
        return collection_messages.AuthorizeCollectionsResponse()

    async def GetPendingStart(
        self, request: collection_messages.GetPendingStartRequest, context: Context
    ) -> collection_messages.GetPendingStartResponse:
        if request.operation_id not in self.pending:
            await not_found("operation", request.operation_id).abort(context)
        return collection_messages.GetPendingStartResponse(request=self.pending[request.operation_id])

    async def MarkCollectionFailed(
        self, request: collection_messages.MarkCollectionFailedRequest, context: Context
    ) -> collection_messages.MarkCollectionFailedResponse:
        self.failed.put_nowait(request)
        return collection_messages.MarkCollectionFailedResponse()

    async def ListReadableCollections(self, request: Any, context: Context) -> Any:
        raise NotImplementedError

    async def AuthorizeDocument(self, request: Any, context: Context) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class User:
    """Somebody who is signed in."""

    id: str
    token: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),)


@dataclass
class House:
    """The process and its surroundings; the stubs speak to it as a client and as a worker."""

    directory: Path
    cluster: Postgres
    auth: AuthStandIn
    collection: CollectionStandIn
    addresses: dict[str, str]
    mesh: MeshIdentity
    port: int
    public: "OperationServiceAsyncStub" = field(init=False)
    internal: "OperationInternalServiceAsyncStub" = field(init=False)
    channel: grpc.aio.Channel = field(init=False)

    def replica(self) -> "House":
        """Return another process over the same database."""
        return House(self.directory, self.cluster, self.auth, self.collection, self.addresses, self.mesh, _free_port())

    def user(self) -> User:
        user_id = str(uuid.uuid4())
        return User(user_id, self.auth.token(user_id))

    def collection_of(self, user: User, role: "Grant.Role.ValueType" = Grant.ROLE_ADMIN) -> str:
        """Return a collection on which the user has a role."""
        collection_id = str(uuid.uuid4())
        self.collection.grants[user.id, collection_id] = role
        return collection_id

    def spec(self, **settings: str) -> Spec:
        environment = {
            **os.environ,
            "ENVIRONMENT": "local",
            "LOG_FORMAT": "console",
            "DRAIN_SECONDS": "3",
            "LISTEN_ADDRESS": f"127.0.0.1:{self.port}",
            "MESH_KEY_FILE": str(self.directory / "mesh.pem"),
            "DATABASE_URL": self.cluster.url("operation", _DATABASE),
            **self.addresses,
            **SETTINGS,
            **settings,
        }
        command = [sys.executable, "-P", "-m", "services.operation"]
        return Spec("operation", command, grpc_health(self.port), environment=environment, directory=self.directory)

    @asynccontextmanager
    async def serving(self, **settings: str) -> AsyncIterator[Child]:
        """Run the process for the length of the block."""
        async with child(self.spec(**settings), self.directory) as process:
            address = f"127.0.0.1:{self.port}"
            async with channels.connect(address, "operation", self.mesh) as mesh, as_gateway.channel(address, self.mesh) as channel:
                self.channel = mesh
                self.internal, self.public = OperationInternalServiceStub(mesh), OperationServiceStub(channel)
                yield process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def building(directory: Path) -> AsyncIterator[House]:
    """Set up everything but the process."""
    key = new_key()
    (directory / "mesh.pem").write_bytes(key)
    auth, collection = AuthStandIn(), CollectionStandIn()
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(postgres())
        await cluster.create(_DATABASE)
        await asyncio.to_thread(upgrade, "operation", cluster.url("operation", _DATABASE))
        addresses = {}
        for name, add, servicer in (
            ("AUTH_ADDRESS", auth_grpc.add_AuthInternalServiceServicer_to_server, auth),
            ("COLLECTION_ADDRESS", collection_grpc.add_CollectionInternalServiceServicer_to_server, collection),
        ):
            server = grpc.aio.server()
            add(servicer, server)  # type: ignore[arg-type]
            addresses[name] = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
            await server.start()
            stack.push_async_callback(server.stop, None)
        yield House(directory, cluster, auth, collection, addresses, MeshIdentity("tests", key), _free_port())
