"""Starts an evaluation: its rows first, then the operation that does the work."""

import hashlib
import json
import uuid
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import json_format
from grpc import StatusCode

from libs.db.engine import Sessions
from libs.rpc.call import Principal
from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1 import operation_internal_service_pb2 as operations
from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceStub
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1.evaluation_service_pb2 import StartEvaluationRequest
from services.search.evaluation.configuration import checked, cutoffs
from services.search.evaluation.limits import MOST_EVALUATIONS, require_below
from services.search.store import evaluations, judged_sets
from services.search.tables import Evaluation, JudgedSet

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.operation.v1.operation_internal_service_pb2_grpc import OperationInternalServiceAsyncStub

QUEUE = "evaluate"
EVALUATION_ID = "evaluation_id"


class Starter:
    """Starts evaluations. What ends between the rows and the operation is finished by the same call again."""

    def __init__(self, sessions: Sessions, operation: grpc.aio.Channel) -> None:
        self._sessions = sessions
        self._operation: OperationInternalServiceAsyncStub = OperationInternalServiceStub(operation)

    async def start(self, principal: Principal, judged_set: JudgedSet, request: StartEvaluationRequest) -> tuple[Evaluation, Operation]:
        """Start what the request asks for; ``judged_set`` is the principal's own, and readable."""
        evaluation = await self._stored(principal, judged_set, request)
        start = operations.StartOperationRequest(
            principal=principal.proto(), request_id=evaluation.start_id, kind=Operation.KIND_EVALUATE, queue=QUEUE
        )
        start.config.update({EVALUATION_ID: evaluation.id})
        return evaluation, (await self._operation.StartOperation(start)).operation

    async def _stored(self, principal: Principal, judged_set: JudgedSet, request: StartEvaluationRequest) -> Evaluation:
        values = _values(principal, judged_set, request)
        async with self._sessions.begin() as session:
            await judged_sets.one_at_a_time(session, principal.user_id)
            evaluation, is_new = await evaluations.start(session, values)
            if evaluation.request_hash != values["request_hash"]:
                message = "this request_id was used for another request"
                raise Failure(StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_REQUEST_ID_REUSED, message, field="request_id")
            if is_new:
                require_below(await evaluations.count(session, principal.user_id), MOST_EVALUATIONS, "evaluations")
            if not evaluation.query_count:
                raise _nothing_relevant(judged_set)
        return evaluation


def _values(principal: Principal, judged_set: JudgedSet, request: StartEvaluationRequest) -> dict[str, Any]:
    user = uuid.UUID(principal.user_id)
    # An evaluation that was deleted may be asked for again: then its operation is another.
    start_id = f"evaluation:{uuid.uuid4()}"
    asked = {
        "judged_set_id": judged_set.id,
        "name": request.name,
        "search": json_format.MessageToDict(checked(request.search)),
        "cutoffs": cutoffs(request.cutoffs),
        "asked_generation": request.generation,
    }
    return {
        **asked,
        "id": str(uuid.uuid5(user, f"evaluation:{request.request_id or uuid.uuid4()}")),
        "user_id": principal.user_id,
        "collection_id": judged_set.collection_id,
        "judged_set_name": judged_set.name,
        "start_id": start_id,
        "operation_id": str(uuid.uuid5(user, start_id)),
        "request_hash": hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest(),
    }


def _nothing_relevant(judged_set: JudgedSet) -> Failure:
    message = f"no query of the set {judged_set.name!r} has a relevant document: judge one with a grade above 0"
    return Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_STATE_CONFLICT, message, {"state": "EMPTY"})
