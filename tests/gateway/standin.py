"""A gRPC server with a few of the public methods and one internal one, which remembers what reached it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc
from google.api.httpbody_pb2 import HttpBody
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from libs.rpc.errors import Failure
from semantik.auth.v1 import auth_internal_service_pb2_grpc, auth_service_pb2, auth_service_pb2_grpc, user_pb2, user_service_pb2_grpc
from semantik.auth.v1 import user_service_pb2 as users
from semantik.collection.v1 import collection_service_pb2_grpc, document_pb2, document_service_pb2_grpc
from semantik.collection.v1 import document_service_pb2 as documents
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_pb2, operation_service_pb2_grpc
from semantik.operation.v1 import operation_service_pb2 as operations

_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 8 * 1024 * 1024))


class StandIn:
    """The server; ``seen`` holds the metadata of the last call of each method, ``calls`` how often it was called.

    ``peers`` are the connections that calls came by; ``options`` are gRPC's; ``foreign`` adds more services;
    while ``released`` is clear, slow calls do not end.
    """

    def __init__(self, options: Sequence[tuple[str, int]] = (), foreign: Sequence[Callable[[grpc.aio.Server], None]] = ()) -> None:
        self.options = options
        self.foreign = foreign
        self.peers: set[str] = set()
        self.seen: dict[str, dict[str, str]] = {}
        self.calls: dict[str, int] = {}
        self.failures = 0  # so many reads are refused as UNAVAILABLE before one is answered
        self.uploaded = 0
        self.port = 0
        self.released = asyncio.Event()
        self.released.set()

    async def start(self) -> None:
        self.server = grpc.aio.server(options=[*_OPTIONS, *self.options])
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(_Auth(self), self.server)  # type: ignore[abstract]
        auth_internal_service_pb2_grpc.add_AuthInternalServiceServicer_to_server(
            auth_internal_service_pb2_grpc.AuthInternalServiceServicer(),  # type: ignore[abstract]
            self.server,
        )
        user_service_pb2_grpc.add_UserServiceServicer_to_server(_User(self), self.server)  # type: ignore[abstract]
        collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(_Collection(self), self.server)  # type: ignore[abstract]
        document_service_pb2_grpc.add_DocumentServiceServicer_to_server(_Document(self), self.server)  # type: ignore[abstract]
        operation_service_pb2_grpc.add_OperationServiceServicer_to_server(_Operation(self), self.server)  # type: ignore[abstract]
        for add in self.foreign:
            add(self.server)
        self.health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.set_serving(serving=True)
        await self.server.start()

    async def set_serving(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.health.set("", status)

    def note(self, method: str, context: Any) -> None:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self.seen[method] = metadata
        self.peers.add(context.peer())
        self.calls[method] = self.calls.get(method, 0) + 1
        context.set_trailing_metadata((("x-correlation-id", metadata.get("x-correlation-id", "")),))


class _Part:
    def __init__(self, standin: StandIn) -> None:
        self.standin = standin


class _Auth(_Part, auth_service_pb2_grpc.AuthServiceServicer):
    async def Login(self, request: auth_service_pb2.LoginRequest, context: Any) -> auth_service_pb2.LoginResponse:
        self.standin.note("Login", context)
        return auth_service_pb2.LoginResponse()

    async def GetJwks(self, request: Any, context: Any) -> HttpBody:
        self.standin.note("GetJwks", context)
        return HttpBody(content_type="application/jwk-set+json", data=b'{"keys":[]}')


class _User(_Part, user_service_pb2_grpc.UserServiceServicer):
    async def GetMe(self, request: Any, context: Any) -> users.GetMeResponse:
        self.standin.note("GetMe", context)
        if self.standin.failures:
            self.standin.failures -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return users.GetMeResponse(user=user_pb2.User(username="ada"))

    async def RevokeSession(self, request: Any, context: Any) -> users.RevokeSessionResponse:
        self.standin.note("RevokeSession", context)
        return users.RevokeSessionResponse()


class _Collection(_Part, collection_service_pb2_grpc.CollectionServiceServicer):
    async def GetCollection(self, request: Any, context: Any) -> Any:
        self.standin.note("GetCollection", context)
        reason = ErrorReason.ERROR_REASON_COLLECTION_NOT_FOUND
        await Failure(grpc.StatusCode.NOT_FOUND, reason, "there is no such collection", {"id": request.collection_id}).abort(context)

    async def CreateCollection(self, request: Any, context: Any) -> Any:
        self.standin.note("CreateCollection", context)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")


class _Document(_Part, document_service_pb2_grpc.DocumentServiceServicer):
    async def UploadDocument(
        self, request: AsyncIterator[documents.UploadDocumentRequest], context: Any
    ) -> documents.UploadDocumentResponse:
        self.standin.note("UploadDocument", context)
        self.standin.uploaded = 0
        name = ""
        async for part in request:
            name = name or part.name
            self.standin.uploaded += len(part.content.data)
        document = document_pb2.Document(name=name, size_bytes=self.standin.uploaded)
        return documents.UploadDocumentResponse(document=document)

    async def RetryDocuments(self, request: Any, context: Any) -> documents.RetryDocumentsResponse:
        self.standin.note("RetryDocuments", context)
        await self.standin.released.wait()
        return documents.RetryDocumentsResponse(document_count=1)

    async def GetDocumentContent(self, request: Any, context: Any) -> AsyncIterator[HttpBody]:
        self.standin.note("GetDocumentContent", context)
        for part in (b"one ", b"two"):
            yield HttpBody(content_type="text/plain", data=part)


class _Operation(_Part, operation_service_pb2_grpc.OperationServiceServicer):
    async def WatchOperation(
        self, request: operations.WatchOperationRequest, context: Any
    ) -> AsyncIterator[operations.WatchOperationResponse]:
        self.standin.note("WatchOperation", context)
        for state in (operation_pb2.Operation.STATE_RUNNING, operation_pb2.Operation.STATE_SUCCEEDED):
            yield operations.WatchOperationResponse(operation=operation_pb2.Operation(id=request.operation_id, state=state))
            await self.standin.released.wait()
