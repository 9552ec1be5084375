"""What a worker does with an operation of kind EVALUATE."""

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.rpc.errors import Failure
from libs.work.errors import WorkFailedError
from libs.work.failpoints import Failpoint, nothing
from libs.work.outcome import Settling
from libs.work.report import Report
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1.operation_internal_service_pb2 import Claim
from semantik.operation.v1.operation_pb2 import Operation
from services.search.collection_access import CollectionAccess
from services.search.evaluation.work import Work
from services.search.search import Search


class EvaluationHandler:
    """Answers one query at a time, so that the searches of people go on beside it; each answer is committed by itself."""

    def __init__(self, sessions: Sessions, search: Search, access: CollectionAccess, failpoint: Failpoint = nothing) -> None:
        self._sessions = sessions
        self._search = search
        self._access = access
        self._failpoint = failpoint

    async def run(self, claim: Claim, report: Report) -> None:
        """Answer what was not answered yet, and measure; an evaluation that is gone leaves nothing to do."""
        if claim.operation.kind != Operation.KIND_EVALUATE:
            message = f"this worker does no operations of kind {Operation.Kind.Name(claim.operation.kind)}"
            raise WorkFailedError(Failure(StatusCode.UNIMPLEMENTED, ErrorReason.ERROR_REASON_INTERNAL, message).proto())
        work = Work(self._sessions, self._search, self._access, claim, report, self._failpoint)
        if not await work.open():
            return
        while queries := await work.next_queries():
            for query in queries:
                if not await work.answer(query):
                    return
        await work.measure()

    async def settle(self, claim: Claim, outcome: Settling, report: Report) -> None:
        """Every answer is committed already."""

    async def hand_back(self, claim: Claim, report: Report) -> None:
        """Nothing is noted about what was in flight."""
