"""An operation service of the tests' own, and work on a queue of each test's."""

import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from libs.rpc.timestamps import duration
from semantik.auth.v1 import principal_pb2, user_pb2
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation
from tests.service.operation.house import House, User, building

if TYPE_CHECKING:
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub
    from semantik.operation.v1.operation_service_pb2_grpc import OperationServiceAsyncStub

Start = Callable[..., Awaitable[messages.StartOperationResponse]]
Claim = Callable[..., Coroutine[Any, Any, messages.Claim | None]]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with building(tmp_path_factory.mktemp("operation")) as built, built.serving():
        yield built


@pytest.fixture(scope="session")
def public(house: House) -> "OperationServiceAsyncStub":
    return house.public


@pytest.fixture(scope="session")
def internal(house: House) -> "OperationInternalServiceAsyncStub":
    return house.internal


@pytest.fixture(scope="session")
async def rows(house: House) -> AsyncIterator[psycopg.AsyncConnection]:
    """The database, past the service: to let time pass at once, and to see what is stored."""
    async with await psycopg.AsyncConnection.connect(house.cluster.dsn(database="house"), autocommit=True) as connection:
        yield connection


@pytest.fixture
def ada(house: House) -> User:
    return house.user()


@pytest.fixture
def stranger(house: House) -> User:
    """A user who has no part in anything."""
    return house.user()


@pytest.fixture
def collection(house: House, ada: User) -> str:
    """A collection of Ada's."""
    return house.collection_of(ada)


@pytest.fixture
def queue() -> str:
    return f"test-{next(_numbers)}"


@pytest.fixture
def start(internal: "OperationInternalServiceAsyncStub", queue: str) -> Start:
    """Start work on the test's queue: of a user and a collection of its own unless others are named."""

    async def start(user_id: str = "", **fields: Any) -> messages.StartOperationResponse:
        principal = principal_pb2.Principal(user_id=user_id or str(uuid.uuid4()), role=user_pb2.User.ROLE_POWER_USER)
        given: dict[str, Any] = {"request_id": uuid.uuid4().hex, "kind": Operation.KIND_INDEX, "queue": queue} | fields
        return await internal.StartOperation(messages.StartOperationRequest(principal=principal, **given))

    return start


@pytest.fixture
def claim(internal: "OperationInternalServiceAsyncStub", queue: str) -> Claim:
    """Claim the next operation of the test's queue; None where there is none."""

    async def claim(
        slot: "messages.Slot.ValueType" = messages.SLOT_LONG, *, claim_id: str = "", seconds: float = 0.0
    ) -> messages.Claim | None:
        request = messages.ClaimOperationRequest(
            queue=queue, worker_id="worker", claim_id=claim_id or str(uuid.uuid4()), slot=slot, wait=duration(seconds) if seconds else None
        )
        answer = await internal.ClaimOperation(request)
        return answer.claim if answer.HasField("claim") else None

    return claim
