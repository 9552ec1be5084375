"""What every RPC gets, whatever its kind: an identity, validation, one status, one metric."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from prometheus_client import REGISTRY

from libs.rpc import call
from libs.rpc.boundary import Access
from libs.rpc.errors import Failure, invalid, reason_of, unavailable
from libs.rpc.mesh import MeshIdentity
from libs.rpc.server import Server
from libs.rpc.validation import text_has_nul
from semantik.auth.v1.auth_service_pb2 import LoginRequest
from tests.service.rpc.conftest import KINDS, SERVICE, Start, method, served

GOOD = LoginRequest(username="ada", password="correct")


def _behaviors(work: Callable[[LoginRequest], LoginRequest]) -> dict[str, Any]:
    """Return one handler of each kind that does ``work`` on every message."""

    async def unary_unary(request: LoginRequest, _: Any) -> LoginRequest:
        return work(request)

    async def unary_stream(request: LoginRequest, _: Any) -> AsyncIterator[LoginRequest]:
        yield work(request)

    async def stream_unary(request: AsyncIterator[LoginRequest], _: Any) -> LoginRequest:
        return [work(message) async for message in request][-1]

    async def stream_stream(request: AsyncIterator[LoginRequest], _: Any) -> AsyncIterator[LoginRequest]:
        async for message in request:
            yield work(message)

    return {each.__name__: each for each in (unary_unary, unary_stream, stream_unary, stream_stream)}


async def _ask(server: Server, kind: str, request: LoginRequest, metadata: Any = ()) -> tuple[list[LoginRequest], dict[str, Any]]:
    """Call the method of ``kind`` and return what it answers, and its trailers."""
    async with method(server, kind) as ask:
        sent = iter([request]) if kind.startswith("stream") else request
        answering = ask(sent, metadata=metadata, timeout=10)
        responses = [message async for message in answering] if kind.endswith("stream") else [await answering]
        return responses, dict(await answering.trailing_metadata())


async def _refused(server: Server, kind: str, request: LoginRequest = GOOD, metadata: Any = ()) -> tuple[StatusCode, str, str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _ask(server, kind, request, metadata)
    trailers = dict(caught.value.trailing_metadata() or ())
    return caught.value.code(), reason_of(caught.value), caught.value.details() or "", str(trailers["x-correlation-id"])


def _raise(error: Exception) -> Callable[[LoginRequest], LoginRequest]:
    def work(_: LoginRequest) -> LoginRequest:
        raise error

    return work


def _counted(kind: str, code: str) -> float:
    return REGISTRY.get_sample_value("semantik_rpc_handled_total", {"method": f"/{SERVICE}/{kind}", "code": code}) or 0.0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_is_answered_counted_and_correlated(start: Start, kind: str) -> None:
    """The caller's id comes back; an id that is unfit for a log is replaced."""
    server, before = await start(served(_behaviors(lambda request: request))), _counted(kind, "OK")
    for sent, expected in (("my-trace", "my-trace"), ("two words", "")):
        responses, trailers = await _ask(server, kind, GOOD, (("x-correlation-id", sent),))
        assert responses == [GOOD]
        assert trailers["x-correlation-id"] == expected or (not expected and len(trailers["x-correlation-id"]) == 32)
    assert _counted(kind, "OK") == before + 2
    assert REGISTRY.get_sample_value("semantik_rpc_running", {"method": f"/{SERVICE}/{kind}"}) == 0


REFUSALS = [
    (invalid("username", "is odd"), StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "username: is odd"),
    (TimeoutError(), StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the work was not done within the deadline"),
    (KeyError("secret"), StatusCode.INTERNAL, "INTERNAL", "internal error"),
    (ConnectionError("the store"), StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", "the store cannot be reached at the moment"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("error", "code", "reason", "message"), REFUSALS, ids=[row[2] for row in REFUSALS])
async def test_what_a_handler_raises_is_one_status(
    start: Start, caplog: pytest.LogCaptureFixture, kind: str, error: Exception, code: StatusCode, reason: str, message: str
) -> None:
    """A driver's error is translated; what nobody knows is INTERNAL without a word, and its traceback is logged once."""

    def translate(error: Exception) -> Failure | None:
        return unavailable("the store") if isinstance(error, ConnectionError) else None

    server, before = await start(served(_behaviors(_raise(error))), translate=translate), _counted(kind, code.name)
    *refusal, correlation_id = await _refused(server, kind, metadata=(("x-correlation-id", "asked"),))
    assert (*refusal, correlation_id) == (code, reason, message, "asked")
    assert _counted(kind, code.name) == before + 1
    logged = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info is not None for record in logged] == ([True] if reason == "INTERNAL" else [])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_is_checked_wherever_it_comes_from(start: Start, kind: str) -> None:
    """Before the handler sees it; a NUL that only a database would find is named by its field."""
    seen: list[LoginRequest] = []

    def work(request: LoginRequest) -> LoginRequest:
        seen.append(request)
        raise text_has_nul()

    server = await start(served(_behaviors(work)))
    assert (await _refused(server, kind, LoginRequest(username="ada")))[:3] == (
        StatusCode.INVALID_ARGUMENT,
        "INVALID_REQUEST",
        "password: must not be empty",
    )
    assert seen == []
    refused = await _refused(server, kind, LoginRequest(username="ada", password="a\0b"))
    assert refused[1:3] == ("INVALID_REQUEST", "password: must not contain NUL")


@pytest.mark.parametrize("kind", KINDS)
async def test_who_calls_is_asked_before_the_request_is_read(start: Start, mesh_identity: MeshIdentity, kind: str) -> None:
    """A service of the mesh is known to the handler by its name."""
    peers: list[str] = []

    def work(request: LoginRequest) -> LoginRequest:
        peers.append(call.current().peer)
        return request

    bad = LoginRequest()
    public = await start(served(_behaviors(work), Access.SIGNED_IN))
    assert (await _refused(public, kind, bad))[:2] == (StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")
    internal = await start(served(_behaviors(work), Access.MESH))
    for authorization in ("", "Basic x", "Bearer", "Bearer x", "Bearer " + mesh_identity.token("another")):
        refused = await _refused(internal, kind, bad, (("authorization", authorization),))
        assert refused[:2] == (StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    await _ask(internal, kind, GOOD, (("authorization", "bearer " + mesh_identity.token("tests")),))
    assert peers == ["tests"]


async def test_a_stream_that_is_left_is_closed_at_once(start: Start) -> None:
    """The handler's last lines run, and the call counts as cancelled."""
    closed = asyncio.Event()

    async def unary_stream(request: LoginRequest, _: Any) -> AsyncIterator[LoginRequest]:
        try:
            while True:
                yield request
                await asyncio.sleep(0)
        finally:
            closed.set()

    server, before = await start(served({"unary_stream": unary_stream})), _counted("unary_stream", "CANCELLED")
    async with method(server, "unary_stream") as ask:
        answering = ask(GOOD)
        await anext(aiter(answering))
        answering.cancel()
        async with asyncio.timeout(5):
            await closed.wait()
    await server.stop()
    assert _counted("unary_stream", "CANCELLED") == before + 1
