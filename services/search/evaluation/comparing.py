"""Compares two evaluations over the queries that both have."""

import asyncio

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1 import evaluation_service_pb2 as messages
from semantik.search.v1.evaluation_pb2 import Metric as MetricMessage
from semantik.search.v1.evaluation_pb2 import QueryDifference
from services.search.evaluation.convert import difference
from services.search.evaluation.measures import Metric, measures
from services.search.evaluation.measuring import compared
from services.search.store import evaluations
from services.search.tables import EvaluatedQuery, Evaluation

_SHOWN = 1000


async def compare(
    sessions: Sessions, evaluation: Evaluation, baseline: Evaluation, metric: "MetricMessage.ValueType"
) -> messages.CompareEvaluationsResponse:
    """Compare two evaluations that the caller may read; raises STATE_CONFLICT where there is nothing to compare."""
    ours, theirs = [await _answered(sessions, each) for each in (evaluation, baseline)]
    pairs = [(query, theirs[query.id]) for query in ours.values() if query.id in theirs and _is_same(query, theirs[query.id])]
    wanted = [each for each in measures(evaluation.cutoffs) if each in measures(baseline.cutoffs)]
    chosen = Metric(MetricMessage.Name(metric).removeprefix("METRIC_")) if metric else Metric.NDCG
    column = next((place for place, each in enumerate(wanted) if each.metric is chosen), None)
    if not pairs or column is None:
        raise _conflict("the evaluations have no query, or no cutoff, in common", "DIFFERENT")
    differences, values = await asyncio.to_thread(compared, pairs, wanted)
    answer = messages.CompareEvaluationsResponse(
        differences=[difference(measure, paired) for measure, paired in zip(wanted, differences, strict=True)],
        query_count=len(pairs),
        left_out_count=len(ours) + len(theirs) - 2 * len(pairs),
    )
    answer.queries.extend(
        sorted(
            (
                QueryDifference(id=query.id, text=query.text, value=value, baseline=base)
                for (query, _), (value, base) in zip(pairs, values[:, column].tolist(), strict=True)
                if value != base
            ),
            key=lambda query: (-abs(query.value - query.baseline), query.id),
        )[:_SHOWN]
    )
    return answer


async def _answered(sessions: Sessions, evaluation: Evaluation) -> dict[str, EvaluatedQuery]:
    if evaluation.finish_time is None:
        raise _conflict("an evaluation that has not ended cannot be compared", "UNFINISHED")
    async with sessions() as session:
        return {query.id: query for query in await evaluations.all_queries(session, evaluation.id)}


def _is_same(query: EvaluatedQuery, other: EvaluatedQuery) -> bool:
    return query.text == other.text and query.judgements == other.judgements


def _conflict(message: str, state: str) -> Failure:
    return Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_STATE_CONFLICT, message, {"state": state})
