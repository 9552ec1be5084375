"""How sure a mean is."""

import numpy as np
import pytest

from services.search.evaluation import bootstrap
from services.search.evaluation.bootstrap import means, paired


def _values(count: int) -> "np.typing.NDArray[np.float64]":
    return np.random.default_rng(7).random((count, 2))


def test_the_same_values_have_the_same_interval() -> None:
    """The seed is fixed, so that a gate does not flicker."""
    assert means(_values(50)) == means(_values(50).copy())


def test_an_interval_is_that_of_the_normal_approximation() -> None:
    """For many queries: the mean, give or take 1.96 standard errors, within a tenth of it."""
    values = _values(400)
    for column, mean in zip(values.T, means(values), strict=True):
        error = 1.96 * column.std() / np.sqrt(len(column))
        assert mean.value == pytest.approx(column.mean())
        assert mean.low == pytest.approx(column.mean() - error, abs=error / 10)
        assert mean.high == pytest.approx(column.mean() + error, abs=error / 10)


def test_one_query_and_equal_values_have_no_spread() -> None:
    """There is nothing else to draw."""
    assert means(np.array([[0.25]])) == [(0.25, 0.25, 0.25)]
    assert means(np.full((30, 1), 0.5)) == [(0.5, 0.5, 0.5)]


def test_many_queries_are_drawn_in_blocks_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The block's size is a matter of memory alone."""
    whole = means(_values(20))
    monkeypatch.setattr(bootstrap, "_BLOCK", 4000)
    assert means(_values(20)) == whole


def test_a_pair_is_compared_query_by_query() -> None:
    """A small difference that every query shows is sure, however much the queries differ among themselves."""
    baseline = _values(100)[:, :1]
    [answer] = paired(baseline + 0.01, baseline)
    assert (answer.better, answer.worse, answer.equal) == (100, 0, 0)
    assert answer.difference.low == pytest.approx(0.01)
    assert answer.difference.high == pytest.approx(0.01)
    [same] = paired(baseline, baseline)
    assert (same.difference, same.equal) == ((0.0, 0.0, 0.0), 100)
