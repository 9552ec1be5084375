"""What a session does when its token is refused: it takes another one and goes on, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2
from grpc_status import rpc_status

from libs.rpc.errors import Failure
from semantik.auth.v1 import auth_service_pb2, user_service_pb2
from semantik.auth.v1.session_pb2 import Tokens
from semantik.auth.v1.user_pb2 import User
from semantik.client import Client, SemantikError
from semantik.client.tokens import MemoryTokens
from semantik.collection.v1 import document_service_pb2
from semantik.collection.v1.document_pb2 import Document
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_service_pb2
from semantik.operation.v1.operation_pb2 import Operation

Context = Any
_FAR = Timestamp(seconds=4_000_000_000)


def _tokens(name: str) -> Tokens:
    return Tokens(access_token=name, refresh_token=f"{name}-refresh", access_expire_time=_FAR)


async def _refuse(context: Context, reason: "ErrorReason.ValueType") -> None:
    failure = Failure(grpc.StatusCode.UNAUTHENTICATED, reason, "not valid").proto()
    assert isinstance(failure, status_pb2.Status)
    await context.abort_with_status(rpc_status.to_status(failure))


@dataclass
class _Gate:
    """A gateway that accepts some access tokens and renews some refresh tokens; it notes what it is asked."""

    accepted: set[str]
    renewed: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def _admit(self, method: str, context: Context) -> None:
        token = dict(context.invocation_metadata())["authorization"].removeprefix("Bearer ")
        self.asked.append(f"{method} {token}")
        if token not in self.accepted:
            await _refuse(context, ErrorReason.ERROR_REASON_TOKEN_INVALID)

    async def RefreshToken(self, request: Any, context: Context) -> auth_service_pb2.RefreshTokenResponse:
        name = request.refresh_token.removesuffix("-refresh")
        self.asked.append(f"renew {name}")
        if name not in self.renewed:
            await _refuse(context, ErrorReason.ERROR_REASON_REFRESH_TOKEN_INVALID)
        return auth_service_pb2.RefreshTokenResponse(tokens=_tokens(self.renewed[name]))

    async def GetMe(self, request: Any, context: Context) -> user_service_pb2.GetMeResponse:
        await self._admit("me", context)
        return user_service_pb2.GetMeResponse(user=User(username="ada"))

    async def UploadDocument(self, parts: AsyncIterator[Any], context: Context) -> document_service_pb2.UploadDocumentResponse:
        await self._admit("upload", context)
        content = b"".join([part.content.data async for part in parts])
        return document_service_pb2.UploadDocumentResponse(document=Document(size_bytes=len(content)))

    async def WatchOperation(self, request: Any, context: Context) -> AsyncIterator[operation_service_pb2.WatchOperationResponse]:
        """Two states, then the token is withdrawn; the last state only once another token has come."""
        await self._admit("watch", context)
        states = [Operation.STATE_QUEUED, Operation.STATE_RUNNING]
        token = dict(context.invocation_metadata())["authorization"].removeprefix("Bearer ")
        if token != "first":
            states.append(Operation.STATE_SUCCEEDED)
        for revision, state in enumerate(states, 1):
            yield operation_service_pb2.WatchOperationResponse(operation=Operation(revision=revision, state=state))
        if token == "first":
            self.accepted.discard(token)
            await _refuse(context, ErrorReason.ERROR_REASON_TOKEN_INVALID)


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


@asynccontextmanager
async def _signed_in(gate: _Gate) -> AsyncIterator[tuple[Client, MemoryTokens]]:
    server = grpc.aio.server()
    unary, upload, watch = grpc.unary_unary_rpc_method_handler, grpc.stream_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    auth, users, documents, operations = auth_service_pb2, user_service_pb2, document_service_pb2, operation_service_pb2
    methods: dict[str, dict[str, Any]] = {
        "auth.v1.AuthService": {"RefreshToken": unary(gate.RefreshToken, auth.RefreshTokenRequest.FromString, _bytes)},
        "auth.v1.UserService": {"GetMe": unary(gate.GetMe, users.GetMeRequest.FromString, _bytes)},
        "collection.v1.DocumentService": {
            "UploadDocument": upload(gate.UploadDocument, documents.UploadDocumentRequest.FromString, _bytes)
        },
        "operation.v1.OperationService": {
            "WatchOperation": watch(gate.WatchOperation, operations.WatchOperationRequest.FromString, _bytes)
        },
    }
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(f"semantik.{service}", handlers) for service, handlers in methods.items()]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    store = MemoryTokens(_tokens("first"))
    try:
        async with Client(f"127.0.0.1:{port}", token_store=store) as client:
            yield client, store
    finally:
        await server.stop(0)


async def test_a_refused_call_is_repeated_once_with_renewed_tokens() -> None:
    """And the new ones are stored for whoever shares them."""
    gate = _Gate({"second"}, {"first": "second"})
    async with _signed_in(gate) as (client, store):
        assert (await client.accounts.me()).username == "ada"
        assert (await client.accounts.me()).username == "ada"
        assert store.read() == _tokens("second")
    assert gate.asked == ["me first", "renew first", "me second", "me second"]


async def test_a_refused_call_takes_the_tokens_that_another_process_stored() -> None:
    """Nothing is renewed: that would use a refresh token twice."""
    gate = _Gate({"other"})
    async with _signed_in(gate) as (client, store):
        store.write(_tokens("other"))
        assert (await client.accounts.me()).username == "ada"
    assert gate.asked == ["me first", "me other"]


@pytest.mark.parametrize(
    ("renewed", "asked"), [({}, ["me first", "renew first"]), ({"first": "second"}, ["me first", "renew first", "me second"])]
)
async def test_a_call_that_stays_refused_says_so(renewed: dict[str, str], asked: list[str]) -> None:
    """After one renewal, whether that was refused or what it brought."""
    gate = _Gate(set(), renewed)
    async with _signed_in(gate) as (client, _):
        with pytest.raises(SemantikError) as caught:
            await client.accounts.me()
    assert (caught.value.code, caught.value.reason) == ("UNAUTHENTICATED", "TOKEN_INVALID")
    assert gate.asked == asked


async def test_a_refused_upload_is_sent_again(tmp_path: Path) -> None:
    """From its first part."""
    file = tmp_path / "file.bin"
    file.write_bytes(bytes(600_000))
    gate = _Gate({"second"}, {"first": "second"})
    async with _signed_in(gate) as (client, _):
        document, _ = await client.documents.upload("collection", file)
    assert document.size_bytes == 600_000
    assert gate.asked == ["upload first", "renew first", "upload second"]


async def test_a_watch_goes_on_with_other_tokens_when_its_own_are_refused() -> None:
    """In its middle; the states are those of one watch."""
    gate = _Gate({"first", "second"}, {"first": "second"})
    async with _signed_in(gate) as (client, _):
        states = [operation.state async for operation in client.operations.watch("id")]
    assert states == [Operation.STATE_QUEUED, Operation.STATE_RUNNING, Operation.STATE_SUCCEEDED]
    assert gate.asked == ["watch first", "renew first", "watch second"]


async def test_a_watch_that_is_refused_for_good_ends() -> None:
    """It asks for other tokens at most twice, and does not try for minutes."""
    gate = _Gate({"first"})
    async with _signed_in(gate) as (client, _):
        with pytest.raises(SemantikError) as caught:
            _ = [operation async for operation in client.operations.watch("id")]
    assert caught.value.reason == "TOKEN_INVALID"
    assert gate.asked == ["watch first", "renew first", "watch first", "renew first"]
