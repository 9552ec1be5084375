"""Evaluations as tables for people."""

import re
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING

from semantik.command.context import escape, out, table, word
from semantik.command.evaluating.configurations import written
from semantik.command.output import printable
from semantik.search.v1 import evaluation_pb2

if TYPE_CHECKING:
    from semantik.search.v1.evaluation_pb2 import Difference, EvaluatedQuery, Evaluation, Measurement
    from semantik.search.v1.evaluation_service_pb2 import CompareEvaluationsResponse

NAMES = {
    evaluation_pb2.METRIC_NDCG: "ndcg",
    evaluation_pb2.METRIC_RECIPROCAL_RANK: "mrr",
    evaluation_pb2.METRIC_RECALL: "recall",
    evaluation_pb2.METRIC_PRECISION: "precision",
}
_MEASURE = re.compile(r"(ndcg|mrr|recall|precision)@(\d+)")
_SHOWN = 10
_WIDTH = 60


def measure_name(measured: "Measurement | Difference") -> str:
    """Return what is measured, such as ``ndcg@10``."""
    return f"{NAMES[measured.metric]}@{measured.cutoff}"


def is_measure(text: str) -> bool:
    return _MEASURE.fullmatch(text) is not None


def label(evaluation: "Evaluation") -> str:
    """Return what tells an evaluation from others: its name, or its configuration."""
    return evaluation.name or written(evaluation.search)


def labels(evaluations: "Sequence[Evaluation]") -> list[str]:
    """Return a label for each, with its generation or its id where that tells it from the others."""
    found = [label(each) for each in evaluations]
    for more in (lambda each: f"generation {each.generation}", lambda each: each.id[:8]):
        same = {text for text in found if found.count(text) > 1}
        found = [f"{text}, {more(each)}" if text in same else text for text, each in zip(found, evaluations, strict=True)]
    return found


def print_evaluations(evaluations: "Sequence[Evaluation]") -> None:
    """Print evaluations side by side, a row a measure."""
    named = labels(evaluations)
    rows = table("MEASURE", *(escape(name) for name in named))
    for name in dict.fromkeys(measure_name(measured) for each in evaluations for measured in each.measurements):
        rows.add_row(name, *(_cell(each, name) for each in evaluations))
    out.print(rows)
    for name, each in zip(named, evaluations, strict=True):
        milliseconds = each.median_time.ToMicroseconds() / 1000
        index = f"generation {each.generation}, {escape(each.model)} in {word(each, 'precision')}"
        queries = f"{each.query_count:,} queries of {escape(each.judged_set_name)}"
        out.print(f"{escape(name)}: {queries}, {index}, {milliseconds:.0f} ms a search", style="dim", soft_wrap=True)


def value_of(evaluation: "Evaluation", measure: str) -> float | None:
    """Return a mean by the measure's name; None where it was not measured."""
    return next((each.value for each in evaluation.measurements if measure_name(each) == measure), None)


def print_comparison(answer: "CompareEvaluationsResponse", metric: str) -> None:
    """Print the differences, and the queries that differ most."""
    rows = table("MEASURE", "VALUE", "BASELINE", "DIFFERENCE", "95 %", "BETTER", "WORSE", "EQUAL")
    for each in answer.differences:
        color = "green" if each.low > 0 else "red" if each.high < 0 else "default"
        interval = f"{each.low:+.3f} to {each.high:+.3f}"
        counts = (f"{count:,}" for count in (each.better_count, each.worse_count, each.equal_count))
        values = f"{each.value:.3f}", f"{each.baseline:.3f}", f"[{color}]{each.difference:+.3f}[/]"
        rows.add_row(measure_name(each), *values, interval, *counts)
    out.print(rows)
    if answer.left_out_count:
        out.print(f"{answer.left_out_count:,} queries that only one of them has, or that are judged otherwise, are left out.", style="dim")
    if answer.queries:
        out.print()
        queries = table("QUERY", metric.upper(), "BASELINE", "DIFFERENCE")
        for query in answer.queries[:_SHOWN]:
            difference = f"{query.value - query.baseline:+.3f}"
            queries.add_row(escape(_cut(query.text)), f"{query.value:.3f}", f"{query.baseline:.3f}", difference)
        out.print(queries)


def print_queries(queries: "Sequence[EvaluatedQuery]") -> None:
    """Print the queries with the first of their values, the worst first."""
    answered = sorted((query for query in queries if query.is_answered), key=lambda query: query.measurements[0].value)
    if not answered:
        return
    rows = table("QUERY", measure_name(answered[0].measurements[0]).upper(), "MISSED", "FOUND AT")
    for query in answered:
        ranks = ", ".join(str(found.rank) for found in query.found if found.grade > 0)
        value = f"{query.measurements[0].value:.3f}"
        rows.add_row(escape(_cut(query.text)), value, escape(", ".join(query.missed[:3])), ranks)
    out.print(rows)


def started(evaluation: "Evaluation") -> str:
    return evaluation.create_time.ToDatetime(UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def _cell(evaluation: "Evaluation", name: str) -> str:
    measured = next((each for each in evaluation.measurements if measure_name(each) == name), None)
    return f"{measured.value:.3f} [dim]({measured.low:.3f} to {measured.high:.3f})[/]" if measured else ""


def _cut(text: str) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..."
