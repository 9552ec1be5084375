"""Evaluations: judged queries, and how well a collection answers them."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence

from semantik.client.session import Session
from semantik.operation.v1 import operation_pb2
from semantik.search.v1 import (
    evaluation_pb2,
    evaluation_service_pb2,
    evaluation_service_pb2_grpc,
    judged_set_pb2,
    judged_set_service_pb2,
    judged_set_service_pb2_grpc,
    search_service_pb2,
)

_PUT_QUERIES = 500
_PUT_BYTES = 1024 * 1024
# Ten thousand queries are compared in seconds.
_SECONDS = 60.0


class Evaluations:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = evaluation_service_pb2_grpc.EvaluationServiceStub(session.channel)
        self._sets = judged_set_service_pb2_grpc.JudgedSetServiceStub(session.channel)

    async def create_set(self, collection_id: str, name: str) -> judged_set_pb2.JudgedSet:
        """Create an empty set of judged queries over a collection."""
        request = judged_set_service_pb2.CreateJudgedSetRequest(collection_id=collection_id, name=name)
        return (await self._session.call(self._sets.CreateJudgedSet, request)).judged_set

    async def list_sets(self, collection_id: str) -> AsyncIterator[judged_set_pb2.JudgedSet]:
        """Yield your sets of a collection, newest first."""
        request = judged_set_service_pb2.ListJudgedSetsRequest(collection_id=collection_id)
        while True:
            answer = await self._session.call(self._sets.ListJudgedSets, request)
            for each in answer.judged_sets:
                yield each
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def delete_set(self, judged_set_id: str) -> None:
        """Delete a set; evaluations that were started with it stay."""
        await self._session.call(self._sets.DeleteJudgedSet, judged_set_service_pb2.DeleteJudgedSetRequest(judged_set_id=judged_set_id))

    async def put(self, judged_set_id: str, queries: Mapping[str, str], judgements: Mapping[str, Mapping[str, int]]) -> int:
        """Add queries to a set: texts by id, and grades of documents by id; return how many. Those without a judgement are left out."""
        request = judged_set_service_pb2.PutJudgedQueriesRequest(judged_set_id=judged_set_id)
        chosen = [key for key in queries if judgements.get(key)]
        for number, key in enumerate(chosen, 1):
            graded = [judged_set_pb2.Judgement(document=document, grade=grade) for document, grade in judgements[key].items()]
            request.queries.add(id=key, text=queries[key], judgements=graded)
            if number == len(chosen) or len(request.queries) == _PUT_QUERIES or request.ByteSize() > _PUT_BYTES:
                await self._session.call(self._sets.PutJudgedQueries, request)
                del request.queries[:]
        return len(chosen)

    async def queries(self, judged_set_id: str) -> AsyncIterator[judged_set_pb2.JudgedQuery]:
        """Yield the queries of a set by their ids."""
        request = judged_set_service_pb2.ListJudgedQueriesRequest(judged_set_id=judged_set_id)
        while True:
            answer = await self._session.call(self._sets.ListJudgedQueries, request)
            for query in answer.queries:
                yield query
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def judge(self, collection_id: str, query: str, document: str, grade: int = 1) -> judged_set_pb2.JudgedSet:
        """Judge a document for a query while searching, in the set ``marked``; 0 is not relevant."""
        judgement = judged_set_pb2.Judgement(document=document, grade=grade)
        request = judged_set_service_pb2.JudgeDocumentRequest(collection_id=collection_id, query=query, judgement=judgement)
        return (await self._session.call(self._sets.JudgeDocument, request)).judged_set

    async def start(
        self,
        judged_set_id: str,
        search: search_service_pb2.SearchRequest | None = None,
        *,
        name: str = "",
        cutoffs: Sequence[int] = (),
        generation: int = 0,
        request_id: str = "",
    ) -> tuple[evaluation_pb2.Evaluation, operation_pb2.Operation]:
        """Start to answer a set with a configuration, a search without its query; return the evaluation and its operation.

        The active index is searched, or that of ``generation``.
        """
        request = evaluation_service_pb2.StartEvaluationRequest(
            judged_set_id=judged_set_id,
            search=search,
            name=name,
            cutoffs=cutoffs,
            generation=generation,
            request_id=request_id or uuid.uuid4().hex,
        )
        answer = await self._session.call(self._stub.StartEvaluation, request)
        return answer.evaluation, answer.operation

    async def get(self, evaluation_id: str) -> evaluation_pb2.Evaluation:
        request = evaluation_service_pb2.GetEvaluationRequest(evaluation_id=evaluation_id)
        return (await self._session.call(self._stub.GetEvaluation, request)).evaluation

    async def list(self, collection_id: str) -> AsyncIterator[evaluation_pb2.Evaluation]:
        """Yield your evaluations of a collection, newest first."""
        request = evaluation_service_pb2.ListEvaluationsRequest(collection_id=collection_id)
        while True:
            answer = await self._session.call(self._stub.ListEvaluations, request)
            for evaluation in answer.evaluations:
                yield evaluation
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def delete(self, evaluation_id: str) -> None:
        request = evaluation_service_pb2.DeleteEvaluationRequest(evaluation_id=evaluation_id)
        await self._session.call(self._stub.DeleteEvaluation, request)

    async def answers(self, evaluation_id: str) -> AsyncIterator[evaluation_pb2.EvaluatedQuery]:
        """Yield the queries of an evaluation by their ids, with how each was answered."""
        request = evaluation_service_pb2.ListEvaluatedQueriesRequest(evaluation_id=evaluation_id)
        while True:
            answer = await self._session.call(self._stub.ListEvaluatedQueries, request)
            for query in answer.queries:
                yield query
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def compare(
        self, evaluation_id: str, baseline_id: str, metric: "evaluation_pb2.Metric.ValueType" = evaluation_pb2.METRIC_NDCG
    ) -> evaluation_service_pb2.CompareEvaluationsResponse:
        """Compare an evaluation with a baseline, query by query; the queries differ in ``metric``."""
        request = evaluation_service_pb2.CompareEvaluationsRequest(
            evaluation_id=evaluation_id, baseline_evaluation_id=baseline_id, metric=metric
        )
        return await self._session.call(self._stub.CompareEvaluations, request, timeout=_SECONDS)
