"""EvaluationService: users measure how well documents are found."""

from datetime import datetime

from libs.db.engine import Sessions
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.paging import Pager, page_size
from semantik.search.v1 import evaluation_service_pb2 as messages
from semantik.search.v1 import evaluation_service_pb2_grpc
from services.search.collection_access import CollectionAccess
from services.search.evaluation.comparing import compare
from services.search.evaluation.convert import evaluated_query_message, evaluation_message
from services.search.evaluation.limits import fitting
from services.search.evaluation.ownership import readable
from services.search.evaluation.starting import Starter
from services.search.store import evaluations, judged_sets
from services.search.tables import Evaluation


class EvaluationServicer(evaluation_service_pb2_grpc.EvaluationServiceServicer):
    def __init__(self, sessions: Sessions, access: CollectionAccess, pager: Pager, starter: Starter) -> None:
        self._sessions = sessions
        self._access = access
        self._pager = pager
        self._starter = starter

    async def StartEvaluation(self, request: messages.StartEvaluationRequest, context: Context) -> messages.StartEvaluationResponse:
        principal = call.principal()
        async with self._sessions() as session:
            row = await judged_sets.get(session, principal.user_id, request.judged_set_id)
        judged_set = await readable(self._access, principal, "judged_set", request.judged_set_id, row)
        evaluation, operation = await self._starter.start(principal, judged_set, request)
        return messages.StartEvaluationResponse(evaluation=evaluation_message(evaluation), operation=operation)

    async def GetEvaluation(self, request: messages.GetEvaluationRequest, context: Context) -> messages.GetEvaluationResponse:
        return messages.GetEvaluationResponse(evaluation=evaluation_message(await self._own(request.evaluation_id)))

    async def ListEvaluations(self, request: messages.ListEvaluationsRequest, context: Context) -> messages.ListEvaluationsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        before = (datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None
        await self._access.readable(principal, [request.collection_id])
        async with self._sessions() as session:
            rows = await evaluations.listed(session, principal.user_id, request.collection_id, size + 1, before)
        page, token = self._pager.page(rows, size, lambda row: [row.create_time.isoformat(), row.id], request, principal)
        return messages.ListEvaluationsResponse(evaluations=map(evaluation_message, page), next_page_token=token)

    async def DeleteEvaluation(self, request: messages.DeleteEvaluationRequest, context: Context) -> messages.DeleteEvaluationResponse:
        row = await self._own(request.evaluation_id)
        async with self._sessions.begin() as session:
            await evaluations.remove(session, row.id)
        return messages.DeleteEvaluationResponse()

    async def ListEvaluatedQueries(
        self, request: messages.ListEvaluatedQueriesRequest, context: Context
    ) -> messages.ListEvaluatedQueriesResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        row = await self._own(request.evaluation_id)
        async with self._sessions() as session:
            rows = await evaluations.queries(session, row.id, size + 1, str(cursor[0]) if cursor else "")
        queries = [evaluated_query_message(each, row.cutoffs) for each in rows]
        page, token = self._pager.page(queries, fitting(queries, size), lambda query: [query.id], request, principal)
        return messages.ListEvaluatedQueriesResponse(queries=page, next_page_token=token)

    async def CompareEvaluations(
        self, request: messages.CompareEvaluationsRequest, context: Context
    ) -> messages.CompareEvaluationsResponse:
        evaluation = await self._own(request.evaluation_id)
        baseline = await self._own(request.baseline_evaluation_id)
        return await compare(self._sessions, evaluation, baseline, request.metric)

    async def _own(self, evaluation_id: str) -> Evaluation:
        principal = call.principal()
        async with self._sessions() as session:
            row = await evaluations.get(session, principal.user_id, evaluation_id)
        return await readable(self._access, principal, "evaluation", evaluation_id, row)
