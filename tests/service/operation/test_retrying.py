"""What failed or was cancelled can be started again, once."""

import uuid
from typing import TYPE_CHECKING

import grpc
import pytest

from libs.rpc.errors import reason_of
from semantik.collection.v1.grant_pb2 import Grant
from semantik.operation.v1 import operation_internal_service_pb2 as internal_messages
from semantik.operation.v1 import operation_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation
from tests.service.operation.conftest import Claim, Start
from tests.service.operation.house import House, User

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub


async def _retry(public: "OperationServiceAsyncStub", user: User, operation_id: str) -> Operation:
    return (await public.RetryOperation(messages.RetryOperationRequest(operation_id=operation_id), metadata=user.metadata)).operation


async def _refusal(public: "OperationServiceAsyncStub", user: User, operation_id: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _retry(public, user, operation_id)
    return caught.value.code(), reason_of(caught.value)


async def _ended(
    internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim, state: "Operation.State.ValueType", **fields: object
) -> Operation:
    await start(**fields)
    held = await claim()
    assert held is not None
    request = internal_messages.FinishOperationRequest(operation_id=held.operation.id, fence=held.fence, state=state)
    return (await internal.FinishOperation(request)).operation


@pytest.mark.parametrize("state", [Operation.STATE_FAILED, Operation.STATE_CANCELLED])
async def test_a_retry_is_the_same_work_again(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
    state: "Operation.State.ValueType",
) -> None:
    """A new operation with the same source and config; asking twice makes one, also once that one has ended."""
    source = str(uuid.uuid4())
    fields = {"user_id": ada.id, "collection_id": collection, "source_id": source, "kind": Operation.KIND_SYNC, "config": {"since": "1"}}
    ended = await _ended(internal, start, claim, state, **fields)
    retries = [await _retry(public, ada, ended.id) for _ in range(2)]
    assert retries[0] == retries[1]
    retry = retries[0]
    assert (retry.state, retry.retry_of, retry.id != ended.id) == (Operation.STATE_QUEUED, ended.id, True)
    assert (retry.kind, retry.collection_id, retry.source_id) == (Operation.KIND_SYNC, collection, source)
    held = await claim()
    assert held is not None
    assert (held.operation.id, dict(held.config), held.principal.user_id) == (retry.id, {"since": "1"}, ada.id)
    await internal.FinishOperation(
        internal_messages.FinishOperationRequest(operation_id=retry.id, fence=held.fence, state=Operation.STATE_FAILED)
    )
    again = await _retry(public, ada, ended.id)
    assert (again.id, again.state) == (retry.id, Operation.STATE_FAILED)
    assert (await _retry(public, ada, retry.id)).retry_of == retry.id


async def test_only_what_failed_or_was_cancelled_is_retried(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    start: Start,
    claim: Claim,
    ada: User,
    collection: str,
) -> None:
    """Neither what succeeded nor what is still to be done."""
    done = await _ended(internal, start, claim, Operation.STATE_SUCCEEDED, user_id=ada.id, collection_id=collection)
    queued = (await start(ada.id, collection_id=collection)).operation
    for operation in (done, queued):
        assert await _refusal(public, ada, operation.id) == (grpc.StatusCode.FAILED_PRECONDITION, "STATE_CONFLICT")


async def test_who_may_write_may_retry(
    public: "OperationServiceAsyncStub",
    internal: "OperationInternalServiceAsyncStub",
    house: House,
    start: Start,
    claim: Claim,
    ada: User,
    stranger: User,
    collection: str,
) -> None:
    """A reader may not, and a stranger learns nothing; each writer's retry is an operation of his own."""
    reader, writer = house.user(), house.user()
    house.collection.grants |= {(reader.id, collection): Grant.ROLE_READ, (writer.id, collection): Grant.ROLE_WRITE}
    failed = await _ended(internal, start, claim, Operation.STATE_FAILED, user_id=ada.id, collection_id=collection)
    assert await _refusal(public, reader, failed.id) == (grpc.StatusCode.PERMISSION_DENIED, "COLLECTION_ROLE_REQUIRED")
    assert await _refusal(public, stranger, failed.id) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")
    assert (await _retry(public, writer, failed.id)).user_id == writer.id


async def test_a_failed_deletion_is_retried_by_who_started_it(
    public: "OperationServiceAsyncStub", internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim, ada: User
) -> None:
    """The collection is there for nobody any more, so no role on it can be asked for."""
    fields = {"user_id": ada.id, "collection_id": str(uuid.uuid4()), "kind": Operation.KIND_DELETE}
    failed = await _ended(internal, start, claim, Operation.STATE_FAILED, **fields)
    assert (await _retry(public, ada, failed.id)).kind == Operation.KIND_DELETE


async def test_work_of_a_collection_that_is_gone_is_not_retried(
    public: "OperationServiceAsyncStub", internal: "OperationInternalServiceAsyncStub", start: Start, claim: Claim, ada: User
) -> None:
    """Not even by who started it."""
    failed = await _ended(internal, start, claim, Operation.STATE_FAILED, user_id=ada.id, collection_id=str(uuid.uuid4()))
    assert await _refusal(public, ada, failed.id) == (grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND")
