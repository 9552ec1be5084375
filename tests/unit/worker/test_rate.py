"""A rate is steady while what it measures is, however lumpy that comes."""

import itertools
import random

import pytest

from services.collection.worker.rate import Rate


@pytest.mark.parametrize("gap", [1, 3, 9, 20, 30])
@pytest.mark.parametrize("burst", [1, 3])
def test_steady_batches_are_a_steady_rate(gap: int, burst: int) -> None:
    """Three batches at once every half minute, or one a second: after a minute it is within a fifth of the truth."""
    rate, shown = Rate(), []
    for second in range(1, 601):
        rate.observe(1.0, 8000 * burst if second % gap == 0 else 0)
        shown.append(rate.per_second)
    true = 8000 * burst / gap
    from_third = shown[3 * gap :]
    assert all(0.6 < each / true < 1.7 for each in from_third)
    assert all(0.8 < each / true < 1.25 for each in shown[120:])
    assert all(later / earlier < 1.5 and earlier / later < 1.5 for earlier, later in itertools.pairwise(from_third))


def test_noise_is_smoothed() -> None:
    """Batches of any size at any time: two reports in a row differ by less than half."""
    numbers = random.Random(7)  # noqa: S311 - not for secrets
    rate, shown = Rate(), []
    for _ in range(1000):
        rate.observe(numbers.uniform(0.5, 2.0), numbers.choice([0, 0, 0, 0, 2000, 8000, 9000]))
        shown.append(rate.per_second)
    assert all(max(pair) / min(pair) < 1.2 for pair in itertools.pairwise(shown[60:]))


def test_a_change_shows_within_a_minute_or_two() -> None:
    """A machine that becomes four times slower is not promised its old speed for long."""
    rate = Rate()
    for _ in range(300):
        rate.observe(1.0, 4000)
    assert rate.per_second == pytest.approx(4000)
    for _ in range(120):
        rate.observe(1.0, 1000)
    assert rate.per_second < 1400
