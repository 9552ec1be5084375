"""What is accepted is started, once and under the id that was handed out, whatever becomes of operation meanwhile."""

import asyncio
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import psycopg
import pytest

from libs.rpc.errors import reason_of
from semantik.auth.v1 import principal_pb2, user_pb2
from semantik.client import SemantikError
from semantik.collection.v1 import collection_internal_service_pb2 as internal
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person
from tests.service.collection_api.conftest import Away, Quiet
from tests.service.collection_api.waiting import until_none

if TYPE_CHECKING:
    from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceAsyncStub


@pytest.fixture
def pending(quiet: Quiet) -> "CollectionInternalServiceAsyncStub":
    return CollectionInternalServiceStub(quiet.peer("collection"))


async def _upload(person: Person, collection: Collection, tmp_path: Path, name: str, request_id: str = "") -> Operation:
    path = tmp_path / name
    path.write_text(name)
    _, operation = await person.client.documents.upload(collection.id, path, name, request_id=request_id)
    return operation


async def _sent(rows: psycopg.AsyncConnection, ids: list[str]) -> None:
    """Wait until none of these starts waits to be sent."""
    await until_none(rows, "SELECT count(*) FROM collection.outbox WHERE id = ANY(%s) AND dead_time IS NULL", ids)


async def _make_due(rows: psycopg.AsyncConnection) -> None:
    await rows.execute("UPDATE collection.outbox SET next_time = now() WHERE dead_time IS NULL")


async def test_an_operation_that_was_promised_comes_to_be(
    quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path, away: Away, pending: "CollectionInternalServiceAsyncStub"
) -> None:
    """Each under the id in its caller's hands: what is sent again joins nothing. Until then collection knows it."""
    async with away("operation"):
        promised = await asyncio.gather(*(_upload(ada, collection, tmp_path, f"{number}.txt") for number in range(3)))
        assert {operation.state for operation in promised} == {Operation.STATE_QUEUED}
        ids = [operation.id for operation in promised]
        assert len(set(ids)) == 3
        for operation_id in ids:
            request = (await pending.GetPendingStart(internal.GetPendingStartRequest(operation_id=operation_id))).request
            assert (request.collection_id, request.kind, request.join_queued) == (collection.id, Operation.KIND_APPEND, False)
    await _make_due(quiet.rows)
    await _sent(quiet.rows, ids)
    for operation_id in ids:
        assert (await ada.client.operations.get(operation_id)).id == operation_id
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pending.GetPendingStart(internal.GetPendingStartRequest(operation_id=operation_id))
        assert (caught.value.code(), reason_of(caught.value)) == (grpc.StatusCode.NOT_FOUND, "OPERATION_NOT_FOUND")


async def test_uploads_without_an_id_share_a_queued_operation(ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Many files dropped at once do not become as many operations; one with an id has its own, again and again."""
    shared = {(await _upload(ada, collection, tmp_path, f"{number}.txt")).id for number in range(3)}
    assert len(shared) == 1
    own = {(await _upload(ada, collection, tmp_path, "own.txt", "mine")).id for _ in range(2)}
    assert len(own) == 1
    assert not own & shared
    with pytest.raises(SemantikError) as caught:
        await _upload(ada, collection, tmp_path, "other.txt", "mine")
    assert (caught.value.reason, caught.value.field) == ("REQUEST_ID_REUSED", "request_id")


async def test_a_start_that_is_refused_holds_up_no_other(quiet: Quiet, ada: Person, collection: Collection, tmp_path: Path) -> None:
    """Operation remembers an id for longer than collection does; what it refuses for good is set aside."""
    principal = principal_pb2.Principal(user_id=ada.user.id, role=user_pb2.User.ROLE_POWER_USER)
    operation = OperationInternalServiceStub(quiet.peer("operation"))
    taken = messages.StartOperationRequest(
        principal=principal, request_id="user:forgotten", collection_id=collection.id, kind=Operation.KIND_RECONCILE, queue="nobody"
    )
    await operation.StartOperation(taken)
    with pytest.raises(SemantikError) as caught:
        await _upload(ada, collection, tmp_path, "refused.txt", "forgotten")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    refused_id = str(uuid.uuid5(uuid.UUID(ada.user.id), "user:forgotten"))
    good = messages.StartOperationRequest(
        principal=principal, request_id="once:good", collection_id=collection.id, kind=Operation.KIND_APPEND
    )
    good_id = str(uuid.uuid5(uuid.UUID(ada.user.id), "once:good"))
    await quiet.rows.execute(
        "INSERT INTO collection.outbox (id, topic, payload) VALUES (%s, 'start', %s)", (good_id, good.SerializeToString())
    )
    await _make_due(quiet.rows)
    await _sent(quiet.rows, [good_id, refused_id])
    assert (await ada.client.operations.get(good_id)).kind == Operation.KIND_APPEND
    dead = await quiet.rows.execute("SELECT last_error FROM collection.outbox WHERE id = %s AND dead_time IS NOT NULL", (refused_id,))
    [(error,)] = await dead.fetchall()
    assert "ALREADY_EXISTS" in error
