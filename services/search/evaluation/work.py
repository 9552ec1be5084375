"""One claim of one evaluation: opens it under its fence, answers its queries, and measures."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc
from grpc import StatusCode
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.rpc.call import Principal
from libs.rpc.errors import Failure, from_peer
from libs.work.errors import FencedError, WorkFailedError
from libs.work.failpoints import Failpoint
from libs.work.report import Report
from libs.work.retry import patiently
from semantik.collection.v1.collection_internal_service_pb2 import AuthorizedCollection
from semantik.embedding.v1.model_pb2 import Model
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.operation.v1.operation_internal_service_pb2 import Claim
from semantik.operation.v1.operation_pb2 import Progress
from semantik.search.v1.search_service_pb2 import SearchResponse
from services.search import metrics
from services.search.collection_access import CollectionAccess
from services.search.evaluation.configuration import request
from services.search.evaluation.convert import measurement_rows
from services.search.evaluation.measuring import measured
from services.search.evaluation.ranking import answer
from services.search.evaluation.starting import EVALUATION_ID
from services.search.search import Search
from services.search.store import evaluations
from services.search.tables import EvaluatedQuery, Evaluation

_READ_AT_ONCE = 50
# While people search beside it, an evaluation pauses for so many times as long as its last search took.
_PAUSE = 4
_LONGEST_PAUSE_SECONDS = 2.0
# What the same search would be refused for again.
_FINAL = (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED, StatusCode.FAILED_PRECONDITION)
_T = TypeVar("_T")


class Work:
    def __init__(
        self, sessions: Sessions, search: Search, access: CollectionAccess, claim: Claim, report: Report, failpoint: Failpoint
    ) -> None:
        self._sessions = sessions
        self._search = search
        self._access = access
        self._id = str(claim.config[EVALUATION_ID])
        self._operation_id = claim.operation.id
        self._fence = claim.fence
        self._principal = Principal.of(claim.principal)
        self._report = report
        self._failpoint = failpoint
        self._evaluation = Evaluation()
        self._searches = search.count
        self._pause_seconds = 0.0

    async def open(self) -> bool:
        """Raise the fence; False if the evaluation is gone, or was measured already."""

        async def claim(session: AsyncSession) -> tuple[Evaluation | None, int]:
            evaluation = await evaluations.claim(session, self._id, self._operation_id, self._fence)
            return await self._still(session, evaluation), await evaluations.answered(session, self._id)

        evaluation, done = await self._written(claim)
        if evaluation is None or evaluation.finish_time is not None:
            return False
        self._evaluation = evaluation
        progress = self._report.progress
        progress.phase = Progress.PHASE_EVALUATING
        progress.queries_done, progress.queries_total = done, evaluation.query_count
        return True

    async def next_queries(self) -> Sequence[EvaluatedQuery]:
        """Return the first queries without an answer."""
        return await self._written(lambda session: evaluations.open_queries(session, self._id, _READ_AT_ONCE))

    async def answer(self, query: EvaluatedQuery) -> bool:
        """Search for a query and commit what was found; False if the evaluation is gone."""
        await self._give_way()
        index, response = await patiently(lambda: self._searched(query.text), self._report, "search")
        found = answer(response.hits, query.judgements)
        seconds = response.timings.total.ToTimedelta().total_seconds()
        self._pause_seconds = min(_PAUSE * seconds, _LONGEST_PAUSE_SECONDS)

        async def store(session: AsyncSession) -> bool:
            evaluation = await self._still(session, await evaluations.held(session, self._id, self._fence))
            if evaluation is not None:
                _require_same_index(evaluation, index)
                await evaluations.answer(session, query, found.found, found.document_count, seconds)
            return evaluation is not None

        is_stored = await self._written(store)
        self._failpoint("after_answer")
        metrics.evaluated_queries.inc()
        self._report.progress.queries_done += 1
        self._report.advanced()
        return is_stored

    async def measure(self) -> None:
        """Store the means of all queries."""
        queries = await self._written(lambda session: evaluations.all_queries(session, self._id))
        if not queries:
            return
        result = await asyncio.to_thread(measured, queries, self._evaluation.cutoffs)

        async def store(session: AsyncSession) -> None:
            evaluation = await self._still(session, await evaluations.held(session, self._id, self._fence))
            if evaluation is not None:
                evaluation.measurements = measurement_rows(result.means)
                evaluation.median_seconds = result.median_seconds
                evaluation.finish_time = func.clock_timestamp()

        await self._written(store)

    async def _give_way(self) -> None:
        """Pause where others have searched since the last query: a search of a hundred documents keeps theirs waiting."""
        searches, self._searches = self._search.count - self._searches, self._search.count
        if searches > 1:
            await asyncio.sleep(self._pause_seconds)

    async def _searched(self, text: str) -> tuple[AuthorizedCollection, SearchResponse]:
        """Search as the user would; returns the answer with the index that gave it."""
        evaluation = self._evaluation
        asked = request(evaluation.search, evaluation.collection_id, text, limit=evaluation.cutoffs[-1])
        try:
            index = await self._index()
            response = await self._search.search(self._principal, asked, evaluation.asked_generation)
            after = await self._index()
        except (Failure, grpc.aio.AioRpcError) as error:
            failure = from_peer(error) if isinstance(error, grpc.aio.AioRpcError) else error
            if failure is not None and failure.code in _FINAL:
                raise WorkFailedError(failure.proto()) from error
            raise
        if after.generation != index.generation:
            raise _replaced()
        return index, response

    async def _index(self) -> AuthorizedCollection:
        evaluation = self._evaluation
        [index] = await self._access.readable(self._principal, [evaluation.collection_id], evaluation.asked_generation)
        return index

    async def _still(self, session: AsyncSession, evaluation: Evaluation | None) -> Evaluation | None:
        """Return the evaluation, None if it was deleted; raises FencedError if a newer claim has it."""
        if evaluation is None and await evaluations.exists(session, self._id):
            raise FencedError
        return evaluation

    async def _written(self, work: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
        async def transaction() -> _T:
            async with self._sessions.begin() as session:
                return await work(session)

        return await patiently(transaction, self._report, "the database")


def _require_same_index(evaluation: Evaluation, index: AuthorizedCollection) -> None:
    """Note the index that answers first; raises WorkFailedError if another one has taken its place."""
    if evaluation.generation is None:
        evaluation.generation, evaluation.model = index.generation, index.model
        evaluation.precision = Model.Precision.Name(index.precision).removeprefix("PRECISION_")
    elif evaluation.generation != index.generation:
        raise _replaced()


def _replaced() -> WorkFailedError:
    message = "another generation of the collection's index became active meanwhile; start the evaluation again"
    return WorkFailedError(
        Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_STATE_CONFLICT, message, {"state": "REPLACED"}).proto()
    )
