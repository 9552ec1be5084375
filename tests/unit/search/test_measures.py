"""The measures against values computed by hand, and what holds for all orders."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.evaluation.measures import Measure, Metric, measures, ndcg, precision, recall, reciprocal_rank, value

GRADES = st.lists(st.integers(0, 4), min_size=1, max_size=30).filter(any)
CUTOFFS = st.integers(1, 40)


@pytest.mark.parametrize(
    ("found", "judged", "cutoff", "expected"),
    [
        # DCG 7 + 3 / log2(4), ideal 7 + 3 / log2(3).
        ([3, 0, 2], [3, 2, 0], 10, (7 + 3 / 2) / (7 + 3 / math.log2(3))),
        # Only the first place is looked at: 3 of 7.
        ([2, 3], [3, 2], 1, 3 / 7),
        ([0, 0], [1], 10, 0.0),
        ([1], [1, 1, 1], 2, 1 / (1 + 1 / math.log2(3))),
        ([], [1], 10, 0.0),
    ],
)
def test_ndcg_is_what_one_computes_by_hand(found: Sequence[int], judged: Sequence[int], cutoff: int, expected: float) -> None:
    """Gains of 2^grade - 1, discounted by log2(rank + 1), by the best possible order."""
    assert ndcg(found, judged, cutoff) == pytest.approx(expected, abs=1e-12)


def test_the_others_are_what_one_counts() -> None:
    """Three relevant documents, of which the second and the fourth place hold two."""
    found, judged = [0, 2, 0, 1], [2, 1, 1, 0]
    assert [reciprocal_rank(found, cutoff) for cutoff in (1, 2, 10)] == [0.0, 0.5, 0.5]
    assert [recall(found, judged, cutoff) for cutoff in (1, 2, 4)] == [0.0, 1 / 3, 2 / 3]
    assert [precision(found, cutoff) for cutoff in (1, 2, 4, 10)] == [0.0, 0.5, 0.5, 0.2]


def test_the_reciprocal_rank_is_of_the_last_cutoff() -> None:
    """All else is measured at each."""
    assert [(each.metric, each.cutoff) for each in measures([5, 20])] == [
        (Metric.NDCG, 5),
        (Metric.NDCG, 20),
        (Metric.RECIPROCAL_RANK, 20),
        (Metric.RECALL, 5),
        (Metric.RECALL, 20),
        (Metric.PRECISION, 5),
        (Metric.PRECISION, 20),
    ]


@given(GRADES, st.randoms(use_true_random=False), CUTOFFS)
def test_a_value_lies_between_0_and_1_and_the_best_order_reaches_1(judged: list[int], random: object, cutoff: int) -> None:
    """Of nDCG for any grades; of recall where everything is looked at."""
    shuffled = list(judged)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    best = sorted(judged, reverse=True)
    for metric in Metric:
        assert 0.0 <= value(Measure(metric, cutoff), shuffled, judged) <= 1.0
        assert value(Measure(metric, cutoff), shuffled, judged) <= value(Measure(metric, cutoff), best, judged) + 1e-12
    assert ndcg(best, judged, cutoff) == pytest.approx(1.0)
    assert recall(shuffled, judged, len(judged)) == 1.0


@given(GRADES, CUTOFFS, st.integers(0, 28))
def test_a_better_document_one_place_up_never_makes_a_value_worse(judged: list[int], cutoff: int, place: int) -> None:
    """Of two neighbours in the wrong order."""
    place %= len(judged)
    after = min(place + 1, len(judged) - 1)
    better = list(judged)
    if better[after] > better[place]:
        better[place], better[after] = better[after], better[place]
    for metric in Metric:
        assert value(Measure(metric, cutoff), better, judged) >= value(Measure(metric, cutoff), judged, judged) - 1e-12


@given(GRADES, CUTOFFS)
def test_documents_that_are_not_judged_at_the_end_change_nothing(judged: list[int], cutoff: int) -> None:
    """An answer may be as long as it likes."""
    for metric in Metric:
        assert value(Measure(metric, cutoff), [*judged, 0, 0], judged) == value(Measure(metric, cutoff), judged, judged)
