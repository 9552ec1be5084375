"""A claim is worked on under its lease, and ends in one way, whatever happens at the same time."""

import asyncio
import time

import grpc
import pytest
from google.rpc import status_pb2

from libs.work.errors import FencedError, WorkFailedError
from libs.work.outcome import Done, Failed, Settled, Stopped
from libs.work.report import Report
from semantik.operation.v1 import operation_internal_service_pb2 as messages
from semantik.operation.v1.operation_pb2 import Operation
from tests.service.work.conftest import Running, claim_of, forever

Claims, Reports = messages.ClaimOperationRequest, messages.ReportOperationRequest
Releases, Finishes = messages.ReleaseOperationRequest, messages.FinishOperationRequest
STATUS = status_pb2.Status(code=9, message="the directory is gone")
AWAY = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "away")


async def test_work_is_run_settled_and_finished(running: Running) -> None:
    """The heartbeat carries what the work wrote into the report, from the stored progress on."""

    async def work(report: Report) -> None:
        report.progress.documents_done += 2
        await running.operation.sees(Reports, 2)

    running.handler.work = work
    claim = claim_of()
    running.operation.claims.append(claim)
    running.start()
    [finish] = await running.operation.sees(Finishes)
    assert (finish.operation_id, finish.fence, finish.state) == (claim.operation.id, 7, Operation.STATE_SUCCEEDED)
    assert (finish.progress.documents_done, running.operation.of(Reports)[-1].progress.documents_done) == (5, 5)
    assert running.handler.steps == ["run", Done()]


async def test_a_failure_for_good_is_settled_and_said(running: Running) -> None:
    """Also where it comes in a group with others."""

    async def work(_: Report) -> None:
        raise ExceptionGroup("", [ValueError(), WorkFailedError(STATUS)])

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start()
    [finish] = await running.operation.sees(Finishes)
    assert (finish.state, finish.error, running.handler.steps) == (Operation.STATE_FAILED, STATUS, ["run", Failed(STATUS)])


async def test_settling_is_not_work(running: Running) -> None:
    """A SETTLE claim goes straight to it and ends as it says."""
    running.operation.claims.append(claim_of(directive=messages.DIRECTIVE_SETTLE, settle_state=Operation.STATE_FAILED))
    running.start()
    [finish] = await running.operation.sees(Finishes)
    assert (finish.state, running.handler.steps) == (Operation.STATE_FAILED, [Settled(Operation.STATE_FAILED)])


@pytest.mark.parametrize(
    ("directive", "state"),
    [(messages.DIRECTIVE_CANCEL, Operation.STATE_CANCELLED), (messages.DIRECTIVE_PAUSE, Operation.STATE_PAUSED)],
)
async def test_the_lease_is_held_while_settling(
    running: Running, directive: "messages.Directive.ValueType", state: "Operation.State.ValueType"
) -> None:
    """However long it takes (B3): the heartbeat goes on, and the directive that has been heeded changes nothing more."""

    async def settle(_: Report) -> None:
        await running.operation.sees(Reports, len(running.operation.of(Reports)) + 5)

    running.handler.work, running.handler.settling = forever, settle
    running.operation.claims.append(claim_of())
    running.start()
    await running.operation.sees(Reports)
    running.operation.directive = directive
    [finish] = await running.operation.sees(Finishes)
    assert (finish.state, running.handler.steps) == (state, ["run", Stopped(directive)])


async def _fail_in_the_group() -> None:
    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ValueError("the pool is closed") from None

    async with asyncio.TaskGroup() as group:
        group.create_task(fails())


@pytest.mark.parametrize("ending", ["fails", "returns", "meets a transient error"])
async def test_work_that_was_cancelled_never_succeeds(running: Running, ending: str) -> None:
    """Whatever it raises or returns once it is cancelled (B1, B2)."""

    async def work(_: Report) -> None:
        if ending == "fails":
            await _fail_in_the_group()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if ending == "returns":
                return
            raise AWAY from None

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start()
    await running.operation.sees(Reports)
    running.operation.directive = messages.DIRECTIVE_CANCEL
    [finish] = await running.operation.sees(Finishes)
    assert (finish.state, running.handler.steps) == (Operation.STATE_CANCELLED, ["run", Stopped(messages.DIRECTIVE_CANCEL)])


async def test_draining_gives_work_back_within_five_seconds(running: Running) -> None:
    """Also where a peer goes away in the same moment; it is no attempt, and nothing is settled (F3)."""

    async def work(_: Report) -> None:
        await asyncio.wait((asyncio.create_task(running.draining.wait()),))
        raise AWAY

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start()
    await running.operation.sees(Reports)
    began = time.monotonic()
    await running.drained()
    [release] = running.operation.of(Releases)
    assert (release.HasField("fault"), release.progress.documents_done) == (False, 3)
    assert (running.handler.steps[0], running.handler.steps[-1]) == ("run", "hand back")
    assert (running.operation.of(Finishes), time.monotonic() - began < 5) == ([], True)


async def test_draining_interrupts_settling_too(running: Running) -> None:
    """What is not settled is claimed again."""
    running.handler.settling = forever
    running.operation.claims.append(claim_of(directive=messages.DIRECTIVE_SETTLE, settle_state=Operation.STATE_CANCELLED))
    running.start()
    await running.operation.sees(Reports)
    await running.drained()
    assert (len(running.operation.of(Releases)), running.operation.of(Finishes)) == (1, [])


async def test_an_idle_worker_drains_at_once_and_asks_for_what_it_may_have_been_given(running: Running) -> None:
    """The last call takes no new work, and carries the id of the call that was broken off."""
    running.start(long_slots=2, short_slots=1)
    polls = await running.operation.sees(Claims, 3)
    assert sorted(poll.slot for poll in polls) == [messages.SLOT_LONG, messages.SLOT_LONG, messages.SLOT_SHORT]
    began = time.monotonic()
    await running.drained()
    last = running.operation.of(Claims)[3:]
    assert (time.monotonic() - began < 2, all(call.repeat_only for call in last)) == (True, True)
    assert {call.claim_id for call in last} == {poll.claim_id for poll in polls}


async def test_a_lost_answer_to_a_claim_is_asked_for_again(running: Running) -> None:
    """With the same id, so that the claim that was made is found (B13); the next claim has another."""
    running.operation.fails["ClaimOperationRequest"] = 2
    running.operation.claims.append(claim_of())
    running.start()
    await running.operation.sees(Finishes)
    calls = await running.operation.sees(Claims, 4)
    assert [call.claim_id == calls[0].claim_id for call in calls[:4]] == [True, True, True, False]


async def test_a_wanted_slot_is_given_up(running: Running) -> None:
    """YIELD is no fault and no attempt."""
    running.handler.work = forever
    running.operation.claims.append(claim_of())
    running.start()
    await running.operation.sees(Reports)
    running.operation.directive = messages.DIRECTIVE_YIELD
    [release] = await running.operation.sees(Releases)
    assert (release.HasField("fault"), running.handler.steps) == (False, ["run", "hand back"])


async def test_an_unknown_fault_is_given_back_as_an_attempt(running: Running) -> None:
    """At once, not by silence."""

    async def work(_: Report) -> None:
        raise ValueError("a secret")

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start()
    [release] = await running.operation.sees(Releases)
    assert (release.fault.message, running.handler.steps, running.operation.of(Finishes)) == ("ValueError", ["run", "hand back"], [])


async def test_a_fault_while_settling_is_an_attempt_too(running: Running) -> None:
    """Also one that would be a failure for good while working."""

    async def settle(_: Report) -> None:
        raise WorkFailedError(STATUS)

    running.handler.settling = settle
    running.operation.claims.append(claim_of())
    running.start()
    [release] = await running.operation.sees(Releases)
    assert (release.fault.message, running.operation.of(Finishes)) == ("WorkFailedError", [])


async def test_a_store_that_is_away_is_waited_for(running: Running) -> None:
    """Under the same lease, with a reason to show; the notes are taken back before the work is repeated (V4)."""
    errors = iter([AWAY, AWAY])

    async def work(_: Report) -> None:
        if error := next(errors, None):
            raise error

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start()
    [finish] = await running.operation.sees(Finishes)
    assert (finish.state, running.operation.of(Releases)) == (Operation.STATE_SUCCEEDED, [])
    assert running.handler.steps == ["run", "hand back", "run", "hand back", "run", Done()]
    assert "waits for a store or a service" in {report.wait_reason for report in running.operation.of(Reports)}


@pytest.mark.parametrize("cause", ["directive", "fence"])
async def test_a_lost_lease_ends_the_work_and_touches_nothing(running: Running, cause: str) -> None:
    """Neither settled, finished nor released; the next claim is taken."""

    async def work(report: Report) -> None:
        if cause == "fence":
            raise FencedError
        await forever(report)

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start()
    if cause == "directive":
        await running.operation.sees(Reports)
        running.operation.directive = messages.DIRECTIVE_LOST
    await running.operation.sees(Claims, 2)
    assert running.handler.steps == ["run"]
    assert running.operation.of(Releases) + running.operation.of(Finishes) == []


async def test_work_ends_when_operation_is_silent_for_a_lease_and_is_given_back_afterwards(running: Running) -> None:
    """Nobody may have taken over: a release that arrives before another claim spares the attempt."""
    running.handler.work = forever
    running.operation.fails = {"ReportOperationRequest": 1000, "ReleaseOperationRequest": 1}
    running.operation.claims.append(claim_of(lease_seconds=0.3))
    running.start()
    [_, release] = await running.operation.sees(Releases, 2)
    assert (release.HasField("fault"), running.handler.steps) == (False, ["run"])


async def test_the_end_is_said_again_until_it_is_heard(running: Running) -> None:
    """For as long as the lease lives, and the heartbeat keeps it alive."""
    running.operation.fails["FinishOperationRequest"] = 2
    running.operation.claims.append(claim_of(lease_seconds=0.4))
    running.start()
    finishes = await running.operation.sees(Finishes, 3)
    assert {finish.state for finish in finishes} == {Operation.STATE_SUCCEEDED}


async def test_work_that_does_not_move_is_ended(running: Running) -> None:
    """It does not renew its lease for ever (V1)."""
    running.handler.work = forever
    running.operation.claims.append(claim_of())
    running.start(stall_seconds=0.2)
    [release] = await running.operation.sees(Releases)
    assert release.fault.message == "the work made no progress for too long"


async def test_work_that_moves_or_waits_is_left_alone(running: Running) -> None:
    """For three times the longest silence each."""

    async def work(report: Report) -> None:
        for _ in range(30):
            await asyncio.sleep(0.02)
            report.advanced()
        with report.waiting("search"):
            await asyncio.sleep(0.6)

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start(stall_seconds=0.2)
    [finish] = await running.operation.sees(Finishes)
    assert finish.state == Operation.STATE_SUCCEEDED


async def test_work_that_swallows_a_cancellation_is_cancelled_again(running: Running) -> None:
    """As asyncio.wait_for of Python 3.11 may do (V1)."""

    async def work(_: Report) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start(end_seconds=0.2)
    await running.operation.sees(Reports)
    running.operation.directive = messages.DIRECTIVE_CANCEL
    [finish] = await running.operation.sees(Finishes)
    assert (finish.state, running.hangs) == (Operation.STATE_CANCELLED, [])


async def test_a_process_whose_work_cannot_be_ended_exits(running: Running) -> None:
    """So that its supervisor starts another; here the exit is only noted."""
    let_go = asyncio.Event()

    async def work(_: Report) -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    running.handler.work = work
    running.operation.claims.append(claim_of())
    running.start(end_seconds=0.1)
    await running.operation.sees(Reports)
    running.operation.directive = messages.DIRECTIVE_CANCEL
    await running.operation.sees(Finishes)
    let_go.set()
    assert running.hangs == ["hang"]
