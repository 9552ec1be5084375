"""Rows of judged sets and evaluations as messages of the contract."""

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf import json_format

from libs.rpc.timestamps import duration, timestamp
from semantik.embedding.v1.model_pb2 import Model
from semantik.search.v1 import evaluation_pb2 as messages
from semantik.search.v1 import judged_set_pb2
from semantik.search.v1.search_service_pb2 import SearchRequest
from services.search.evaluation.bootstrap import Mean, Paired
from services.search.evaluation.measures import Measure, Metric, measures
from services.search.evaluation.measuring import found_of, values
from services.search.tables import EvaluatedQuery, Evaluation, JudgedQuery, JudgedSet

_MISSED = 20


def judged_set_message(row: JudgedSet) -> judged_set_pb2.JudgedSet:
    return judged_set_pb2.JudgedSet(
        id=row.id,
        collection_id=row.collection_id,
        name=row.name,
        query_count=row.query_count,
        judgement_count=row.judgement_count,
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
    )


def judged_query_message(row: JudgedQuery) -> judged_set_pb2.JudgedQuery:
    judgements = [judged_set_pb2.Judgement(document=document, grade=grade) for document, grade in row.judgements.items()]
    return judged_set_pb2.JudgedQuery(id=row.id, text=row.text, judgements=judgements)


def judged_query_row(message: judged_set_pb2.JudgedQuery) -> dict[str, Any]:
    return query_row(message.id, message.text, {each.document: each.grade for each in message.judgements})


def query_row(query_id: str, text: str, judgements: dict[str, int]) -> dict[str, Any]:
    """Return the values of a judged query's row but for its set."""
    relevant = sum(grade > 0 for grade in judgements.values())
    size = len(text.encode()) + sum(len(document.encode()) for document in judgements)
    counts = {"judgement_count": len(judgements), "relevant_count": relevant, "size_bytes": size}
    return {"id": query_id, "text": text, "judgements": judgements, **counts}


def evaluation_message(row: Evaluation) -> messages.Evaluation:
    return messages.Evaluation(
        id=row.id,
        collection_id=row.collection_id,
        name=row.name,
        judged_set_id=row.judged_set_id,
        judged_set_name=row.judged_set_name,
        operation_id=row.operation_id,
        search=json_format.ParseDict(row.search, SearchRequest()),
        cutoffs=row.cutoffs,
        query_count=row.query_count,
        measurements=[
            measurement(Measure(Metric(each["metric"]), each["cutoff"]), each["value"], each["low"], each["high"])
            for each in row.measurements or ()
        ],
        generation=row.generation or 0,
        model=row.model,
        precision=Model.Precision.Value(f"PRECISION_{row.precision}") if row.precision else Model.PRECISION_UNSPECIFIED,
        median_time=None if row.median_seconds is None else duration(row.median_seconds),
        create_time=timestamp(row.create_time),
        finish_time=timestamp(row.finish_time),
    )


def measurement_rows(means: Iterable[tuple[Measure, Mean]]) -> list[dict[str, Any]]:
    """Return means as the evaluation's row holds them."""
    return [{"metric": measure.metric, "cutoff": measure.cutoff, **mean._asdict()} for measure, mean in means]


def measurement(measure: Measure, value: float, low: float | None = None, high: float | None = None) -> messages.Measurement:
    return messages.Measurement(metric=metric_message(measure.metric), cutoff=measure.cutoff, value=value, low=low, high=high)


def metric_message(metric: Metric) -> "messages.Metric.ValueType":
    return messages.Metric.Value(f"METRIC_{metric}")


def evaluated_query_message(row: EvaluatedQuery, cutoffs: Sequence[int]) -> messages.EvaluatedQuery:
    if row.found is None:
        return messages.EvaluatedQuery(id=row.id, text=row.text)
    wanted, found = measures(cutoffs), found_of(row)
    relevant = sorted((-grade, document) for document, grade in row.judgements.items() if grade > 0)
    missed = [document for _, document in relevant if document not in {each.document for each in found}]
    return messages.EvaluatedQuery(
        id=row.id,
        text=row.text,
        is_answered=True,
        measurements=[measurement(measure, value) for measure, value in zip(wanted, values(row, wanted), strict=True)],
        found=[messages.FoundDocument(**each._asdict()) for each in found],
        missed=missed[:_MISSED],
        document_count=row.document_count or 0,
        time=duration(row.seconds or 0.0),
    )


def difference(measure: Measure, paired: Paired) -> messages.Difference:
    return messages.Difference(
        metric=metric_message(measure.metric),
        cutoff=measure.cutoff,
        value=paired.value,
        baseline=paired.baseline,
        difference=paired.difference.value,
        low=paired.difference.low,
        high=paired.difference.high,
        better_count=paired.better,
        worse_count=paired.worse,
        equal_count=paired.equal,
    )
