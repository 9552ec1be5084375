"""What an order of documents is measured by, one query at a time.

``found`` are the grades of the documents found, best first, 0 for one that is not judged; ``judged`` are those of all that are.
A document is relevant if its grade is above 0.
"""

import math
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import product
from typing import NamedTuple


class Metric(StrEnum):
    NDCG = "NDCG"
    RECIPROCAL_RANK = "RECIPROCAL_RANK"
    RECALL = "RECALL"
    PRECISION = "PRECISION"


class Measure(NamedTuple):
    """A metric with the number of documents that are looked at."""

    metric: Metric
    cutoff: int


def measures(cutoffs: Sequence[int]) -> list[Measure]:
    """Return what is measured at ascending cutoffs: the reciprocal rank at the last, all else at each."""
    every = [Measure(metric, cutoff) for metric, cutoff in product(Metric, cutoffs)]
    return [each for each in every if each.metric is not Metric.RECIPROCAL_RANK or each.cutoff == cutoffs[-1]]


def value(measure: Measure, found: Sequence[int], judged: Sequence[int]) -> float:
    """Return the value for one query, which has a relevant document."""
    match measure.metric:
        case Metric.NDCG:
            return ndcg(found, judged, measure.cutoff)
        case Metric.RECIPROCAL_RANK:
            return reciprocal_rank(found, measure.cutoff)
        case Metric.RECALL:
            return recall(found, judged, measure.cutoff)
        case Metric.PRECISION:
            return precision(found, measure.cutoff)


def ndcg(found: Sequence[int], judged: Iterable[int], cutoff: int) -> float:
    """Return nDCG with gains 2^grade - 1 (Järvelin and Kekäläinen, 2002)."""
    best = _gain(sorted(judged, reverse=True)[:cutoff])
    return _gain(found[:cutoff]) / best if best else 0.0


def reciprocal_rank(found: Sequence[int], cutoff: int) -> float:
    return next((1 / rank for rank, grade in enumerate(found[:cutoff], 1) if grade > 0), 0.0)


def recall(found: Sequence[int], judged: Iterable[int], cutoff: int) -> float:
    relevant = _relevant(judged)
    return _relevant(found[:cutoff]) / relevant if relevant else 0.0


def precision(found: Sequence[int], cutoff: int) -> float:
    return _relevant(found[:cutoff]) / cutoff


def _gain(grades: Iterable[int]) -> float:
    return sum((2.0**grade - 1) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def _relevant(grades: Iterable[int]) -> int:
    return sum(grade > 0 for grade in grades)
