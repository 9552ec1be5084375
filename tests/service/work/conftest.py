"""A worker of libs/work, and an operation service that does what the test says."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest

from libs.rpc.timestamps import duration
from libs.work.attempt import Pace
from libs.work.outcome import Settling
from libs.work.report import Report
from libs.work.worker import Worker
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1 import operation_internal_service_pb2_grpc
from semantik.operation.v1.operation_pb2 import Operation, Progress

Context = Any
Work = Callable[[Report], Awaitable[None]]


class StandIn(operation_internal_service_pb2_grpc.OperationInternalServiceServicer):
    """Hands out the claims it was given, and notes every call; ``fails`` says how many calls of a method go wrong."""

    def __init__(self) -> None:
        self.claims: list[messages.Claim] = []
        self.directive = messages.DIRECTIVE_CONTINUE
        self.fails: dict[str, int] = {}
        self.calls: list[Any] = []
        self._more = asyncio.Condition()

    def of(self, kind: type[Any]) -> list[Any]:
        return [call for call in self.calls if isinstance(call, kind)]

    async def sees(self, kind: type[Any], count: int = 1) -> list[Any]:
        """Wait for so many calls of a kind and return them."""
        async with asyncio.timeout(10), self._more:
            await self._more.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    async def _note(self, request: Any, context: Context) -> None:
        async with self._more:
            self.calls.append(request)
            self._more.notify_all()
        name = type(request).__name__
        if self.fails.get(name, 0) > 0:
            self.fails[name] -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    async def StartOperation(self, request: messages.StartOperationRequest, context: Context) -> messages.StartOperationResponse:
        raise NotImplementedError

    async def ClaimOperation(self, request: messages.ClaimOperationRequest, context: Context) -> messages.ClaimOperationResponse:
        await self._note(request, context)
        if self.claims and not request.repeat_only:
            return messages.ClaimOperationResponse(claim=self.claims.pop(0))
        if request.HasField("wait"):
            await asyncio.sleep(request.wait.ToTimedelta().total_seconds())
        return messages.ClaimOperationResponse()

    async def ReportOperation(self, request: messages.ReportOperationRequest, context: Context) -> messages.ReportOperationResponse:
        await self._note(request, context)
        return messages.ReportOperationResponse(directive=self.directive)

    async def ReleaseOperation(self, request: messages.ReleaseOperationRequest, context: Context) -> messages.ReleaseOperationResponse:
        await self._note(request, context)
        return messages.ReleaseOperationResponse()

    async def FinishOperation(self, request: messages.FinishOperationRequest, context: Context) -> messages.FinishOperationResponse:
        await self._note(request, context)
        return messages.FinishOperationResponse()


class Recorder:
    """A handler whose work is the test's; ``steps`` is what was called in order."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.work: Work = _nothing
        self.settling: Work = _nothing

    async def run(self, claim: messages.Claim, report: Report) -> None:
        self.steps.append("run")
        await self.work(report)

    async def settle(self, claim: messages.Claim, outcome: Settling, report: Report) -> None:
        self.steps.append(outcome)
        await self.settling(report)

    async def hand_back(self, claim: messages.Claim, report: Report) -> None:
        self.steps.append("hand back")


async def _nothing(_: Report) -> None:
    return


async def forever(_: Report) -> None:
    """Work until it is cancelled."""
    await asyncio.Event().wait()


class Running:
    """The worker and what it talks to."""

    def __init__(self, stand_in: StandIn, recorder: Recorder, channel: grpc.aio.Channel) -> None:
        self.operation = stand_in
        self.handler = recorder
        self.draining = asyncio.Event()
        self.hangs: list[str] = []
        self._channel = channel
        self._task: asyncio.Task[None] | None = None

    def start(self, *, long_slots: int = 1, short_slots: int = 0, **pace: float) -> None:
        worker = Worker(
            self._channel,
            self.handler,
            self.draining,
            queue="index",
            worker_id="worker",
            long_slots=long_slots,
            short_slots=short_slots,
            pace=Pace(**{"report_seconds": 0.02, **pace}),
            on_hang=lambda: self.hangs.append("hang"),
        )
        self._task = asyncio.create_task(worker.run())

    async def drained(self) -> None:
        """Drain, and wait for the end."""
        self.draining.set()
        if self._task is not None:
            async with asyncio.timeout(10):
                await self._task


def claim_of(*, lease_seconds: float = 15.0, **fields: Any) -> messages.Claim:
    operation = Operation(id=str(uuid.uuid4()), kind=Operation.KIND_INDEX, progress=Progress(documents_done=3))
    given: dict[str, Any] = {"fence": 7, "directive": messages.DIRECTIVE_CONTINUE} | fields
    return messages.Claim(operation=operation, lease=duration(lease_seconds), **given)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    stand_in = StandIn()
    server = grpc.aio.server()
    operation_internal_service_pb2_grpc.add_OperationInternalServiceServicer_to_server(stand_in, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        worker = Running(stand_in, Recorder(), channel)
        yield worker
        await worker.drained()
    await server.stop(None)
