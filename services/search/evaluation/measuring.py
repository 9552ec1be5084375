"""The values of evaluated queries, one by one and together."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from services.search.evaluation import bootstrap
from services.search.evaluation.bootstrap import Mean, Paired
from services.search.evaluation.measures import Measure, measures, value
from services.search.evaluation.ranking import Found, grades
from services.search.tables import EvaluatedQuery


class Measured(NamedTuple):
    """What an evaluation has come to."""

    means: Sequence[tuple[Measure, Mean]]
    median_seconds: float


def measured(queries: Sequence[EvaluatedQuery], cutoffs: Sequence[int]) -> Measured:
    """Measure answered queries, of which there is one at least; takes a second for ten thousand."""
    wanted = measures(cutoffs)
    means = bootstrap.means(_matrix(queries, wanted))
    return Measured(list(zip(wanted, means, strict=True)), statistics.median(query.seconds or 0.0 for query in queries))


def compared(
    pairs: Sequence[tuple[EvaluatedQuery, EvaluatedQuery]], wanted: Sequence[Measure]
) -> tuple[list[Paired], npt.NDArray[np.float64]]:
    """Compare answers to the same queries; the second result has, for each query and measure, the value and the baseline's."""
    ours, theirs = (_matrix([pair[side] for pair in pairs], wanted) for side in (0, 1))
    return bootstrap.paired(ours, theirs), np.stack((ours, theirs), axis=2)


def values(query: EvaluatedQuery, wanted: Sequence[Measure]) -> list[float]:
    """Return the values of an answered query."""
    found, judged = grades(found_of(query)), list(query.judgements.values())
    return [value(each, found, judged) for each in wanted]


def found_of(query: EvaluatedQuery) -> list[Found]:
    """Return the judged documents that a query found, as the row has them."""
    rows: list[list[Any]] = query.found or []
    return [Found(*each) for each in rows]


def _matrix(queries: Sequence[EvaluatedQuery], wanted: Sequence[Measure]) -> npt.NDArray[np.float64]:
    return np.array([values(query, wanted) for query in queries], dtype=np.float64)
