"""Stubs of operation, work on a queue that no real worker reads."""

import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from semantik.auth.v1 import principal_pb2, user_pb2
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_pb2
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceStub

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

Start = Callable[..., Awaitable[messages.StartOperationResponse]]
Claim = Callable[..., Awaitable[messages.Claim | None]]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def public(address: str) -> AsyncIterator["OperationServiceAsyncStub"]:
    async with grpc.aio.insecure_channel(address) as channel:
        yield OperationServiceStub(channel)


@pytest.fixture(scope="session")
def internal(peer: Callable[[str], grpc.aio.Channel]) -> "OperationInternalServiceAsyncStub":
    return OperationInternalServiceStub(peer("operation"))


@pytest.fixture
def queue() -> str:
    return f"test-{next(_numbers)}"


@pytest.fixture
def start(internal: "OperationInternalServiceAsyncStub", queue: str) -> Start:
    """Start work on the test's queue: of a user and a collection of its own unless others are named."""

    async def start(user_id: str = "", **fields: Any) -> messages.StartOperationResponse:
        principal = principal_pb2.Principal(user_id=user_id or str(uuid.uuid4()), role=user_pb2.User.ROLE_POWER_USER)
        given: dict[str, Any] = {"request_id": uuid.uuid4().hex, "kind": operation_pb2.Operation.KIND_INDEX, "queue": queue} | fields
        return await internal.StartOperation(messages.StartOperationRequest(principal=principal, **given))

    return start


@pytest.fixture
def claim(internal: "OperationInternalServiceAsyncStub", queue: str) -> Claim:
    """Claim the next operation of the test's queue; None where there is none."""

    async def claim(worker_id: str = "worker") -> messages.Claim | None:
        answer = await internal.ClaimOperation(
            messages.ClaimOperationRequest(queue=queue, worker_id=worker_id, claim_id=str(uuid.uuid4()), slot=messages.SLOT_LONG)
        )
        return answer.claim if answer.HasField("claim") else None

    return claim
