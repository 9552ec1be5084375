"""What happens to watchers, workers and attempts when the service itself goes away."""

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import grpc
import psycopg
import pytest

from libs.rpc.errors import reason_of
from libs.rpc.timestamps import duration
from semantik.auth.v1 import principal_pb2, user_pb2
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_service_pb2
from semantik.operation.v1.operation_pb2 import Operation
from tests.service.operation.house import House, User, building

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

DRAINING = (grpc.StatusCode.UNAVAILABLE, "DRAINING")


def _start(user: User, queue: str) -> messages.StartOperationRequest:
    principal = principal_pb2.Principal(user_id=user.id, role=user_pb2.User.ROLE_POWER_USER)
    return messages.StartOperationRequest(principal=principal, request_id=uuid.uuid4().hex, kind=Operation.KIND_INDEX, queue=queue)


def _claim(queue: str, seconds: float = 0.0) -> messages.ClaimOperationRequest:
    return messages.ClaimOperationRequest(
        queue=queue,
        worker_id="worker",
        claim_id=str(uuid.uuid4()),
        slot=messages.SLOT_LONG,
        wait=duration(seconds) if seconds else None,
    )


async def _report(internal: "OperationInternalServiceAsyncStub", claim: messages.Claim) -> "messages.Directive.ValueType":
    request = messages.ReportOperationRequest(operation_id=claim.operation.id, fence=claim.fence)
    return (await internal.ReportOperation(request)).directive


async def _next(internal: "OperationInternalServiceAsyncStub", queue: str) -> messages.Claim:
    return (await internal.ClaimOperation(_claim(queue, 10))).claim


async def test_a_draining_replica_ends_watches_and_polls_at_once(house: House, ada: User) -> None:
    """Both are told to call again; neither holds the process up."""
    replica = house.replica()
    async with replica.serving() as process:
        operation = (await replica.internal.StartOperation(_start(ada, "drain"))).operation
        watch = replica.public.WatchOperation(operation_service_pb2.WatchOperationRequest(operation_id=operation.id), metadata=ada.metadata)
        assert (await anext(watch.__aiter__())).operation.id == operation.id
        # The channel of the mesh repeats a poll that was refused; this one shows the refusal.
        metadata = (("authorization", f"Bearer {replica.mesh.token('operation')}"),)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{replica.port}") as channel:
            claim = channel.unary_unary(
                "/semantik.operation.v1.OperationInternalService/ClaimOperation",
                request_serializer=messages.ClaimOperationRequest.SerializeToString,
                response_deserializer=messages.ClaimOperationResponse.FromString,
            )
            poll = asyncio.ensure_future(claim(_claim("nothing here", 20), metadata=metadata))
            # A later call on the same connection was answered, so the poll has arrived.
            await claim(_claim("nothing here either"), metadata=metadata)
            async with asyncio.timeout(10):
                stopping = asyncio.create_task(process.stop())
                for waiting in (poll, asyncio.create_task(_last(watch))):
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await waiting
                    assert (caught.value.code(), reason_of(caught.value)) == DRAINING
                await stopping


async def _last(watch: Any) -> None:
    async for _ in watch:
        pass


async def test_workers_have_one_lease_to_report_again_after_an_outage(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Their leases ran out while nobody could hear them: no attempt counts. One that stays silent afterwards loses its own."""
    async with building(tmp_path_factory.mktemp("outage")) as house:
        ada = house.user()
        claims = []
        async with house.serving(LEASE_SECONDS="3", RENEW_SECONDS="1"):
            for _ in range(2):
                await house.internal.StartOperation(_start(ada, "outage"))
                claims.append((await house.internal.ClaimOperation(_claim("outage"))).claim)
        dsn = house.cluster.dsn(database="house")
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as rows:
            await rows.execute("UPDATE operation.operations SET lease_until = now() - interval '1 minute'")
            async with house.serving(LEASE_SECONDS="3", RENEW_SECONDS="1"):
                speaking, silent = claims
                claiming = asyncio.create_task(_next(house.internal, "outage"))
                while not claiming.done():
                    assert await _report(house.internal, speaking) == messages.DIRECTIVE_CONTINUE
                    await asyncio.wait((claiming,), timeout=0.3)
                again = await claiming
                assert (again.operation.id, again.operation.attempt) == (silent.operation.id, 1)
                assert await _report(house.internal, silent) == messages.DIRECTIVE_LOST
                cursor = await rows.execute("SELECT attempt, fence FROM operation.operations WHERE id = %s", (speaking.operation.id,))
                assert await cursor.fetchone() == (0, speaking.fence)
