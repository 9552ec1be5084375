"""An id that collection has handed out can be used at once, although operation has not heard of it (V6)."""

import uuid
from typing import TYPE_CHECKING

import grpc
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1 import principal_pb2, user_pb2
from semantik.operation.v1 import operation_internal_service_pb2 as internal_messages
from semantik.operation.v1 import operation_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation
from tests.service.operation.conftest import Claim
from tests.service.operation.house import House, User

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub


@pytest.fixture
def pending(house: House, ada: User, collection: str, queue: str) -> internal_messages.StartOperationRequest:
    """A start that waits in collection's outbox."""
    request = internal_messages.StartOperationRequest(
        principal=principal_pb2.Principal(user_id=ada.id, role=user_pb2.User.ROLE_POWER_USER),
        request_id=uuid.uuid4().hex,
        collection_id=collection,
        kind=Operation.KIND_APPEND,
        queue=queue,
    )
    house.collection.pending[_id(request)] = request
    return request


def _id(request: internal_messages.StartOperationRequest) -> str:
    return str(uuid.uuid5(uuid.UUID(request.principal.user_id), request.request_id))


async def test_it_is_shown_and_started(
    public: "OperationServiceAsyncStub", ada: User, claim: Claim, pending: internal_messages.StartOperationRequest
) -> None:
    """Once, and a worker gets it although the start was never delivered."""
    request = messages.GetOperationRequest(operation_id=_id(pending))
    shown = [(await public.GetOperation(request, metadata=ada.metadata)).operation for _ in range(2)]
    assert shown[0] == shown[1]
    assert (shown[0].state, shown[0].kind) == (Operation.STATE_QUEUED, Operation.KIND_APPEND)
    held = await claim()
    assert held is not None
    assert (held.operation.id, await claim()) == (_id(pending), None)


async def test_it_is_watched_to_its_end(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    ada: User,
    claim: Claim,
    pending: internal_messages.StartOperationRequest,
) -> None:
    """The start that arrives meanwhile finds it there."""
    call = public.WatchOperation(messages.WatchOperationRequest(operation_id=_id(pending)), metadata=ada.metadata, timeout=20)
    states = call.__aiter__()
    assert (await anext(states)).operation.state == Operation.STATE_QUEUED
    assert not (await internal.StartOperation(pending)).is_new
    held = await claim()
    assert held is not None
    await internal.FinishOperation(
        internal_messages.FinishOperationRequest(operation_id=held.operation.id, fence=held.fence, state=Operation.STATE_SUCCEEDED)
    )
    assert [answer.operation.state async for answer in states][-1] == Operation.STATE_SUCCEEDED


async def test_it_is_cancelled(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    ada: User,
    claim: Claim,
    pending: internal_messages.StartOperationRequest,
) -> None:
    """And stays so when the start arrives afterwards."""
    request = messages.CancelOperationRequest(operation_id=_id(pending))
    assert (await public.CancelOperation(request, metadata=ada.metadata)).operation.state == Operation.STATE_CANCELLED
    assert (await internal.StartOperation(pending)).operation.state == Operation.STATE_CANCELLED
    assert await claim() is None


async def test_a_stranger_learns_nothing_of_it(
    public: "OperationServiceAsyncStub", stranger: User, pending: internal_messages.StartOperationRequest
) -> None:
    """It answers like an id nobody has."""
    for operation_id in (_id(pending), str(uuid.uuid4())):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await public.GetOperation(messages.GetOperationRequest(operation_id=operation_id), metadata=stranger.metadata)
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
        assert caught.value.details() == f"operation {operation_id} does not exist"
