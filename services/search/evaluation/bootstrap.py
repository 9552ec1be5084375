"""How sure a mean over queries is: the percentile bootstrap (Efron and Tibshirani, 1993), the same for the same values."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_RESAMPLES = 2000
_SEED = 20_260_101
# Numbers of a block of resamples, so that many queries take no more memory than few.
_BLOCK = 1_000_000


class Mean(NamedTuple):
    """A mean with its 95 % interval."""

    value: float
    low: float
    high: float


def means(values: npt.NDArray[np.float64]) -> list[Mean]:
    """Return the mean of each column; a row is a query. The columns share their resamples, so that they compare."""
    count = len(values)
    random = np.random.default_rng(_SEED)
    block = max(1, _BLOCK // count)
    resampled = []
    for start in range(0, _RESAMPLES, block):
        size = min(block, _RESAMPLES - start)
        drawn = random.integers(0, count, (size, count))
        # How often each query was drawn, by resample: a product of matrices then takes all columns at once.
        numbers = (drawn + count * np.arange(size)[:, None]).ravel()
        times = np.bincount(numbers, minlength=size * count).reshape(size, count)
        resampled.append(times @ values / count)
    low, high = np.quantile(np.concatenate(resampled), (0.025, 0.975), axis=0)
    return [Mean(float(mean), float(least), float(most)) for mean, least, most in zip(values.mean(axis=0), low, high, strict=True)]


class Paired(NamedTuple):
    """How the values of the same queries differ: positive differences are better."""

    value: float
    baseline: float
    difference: Mean
    better: int
    worse: int
    equal: int


def paired(values: npt.NDArray[np.float64], baseline: npt.NDArray[np.float64]) -> list[Paired]:
    """Compare each column with the same one of the baseline; the rows are the same queries."""
    differences = values - baseline
    return [
        Paired(float(ours), float(theirs), difference, *_signs(column))
        for ours, theirs, difference, column in zip(
            values.mean(axis=0), baseline.mean(axis=0), means(differences), differences.T, strict=True
        )
    ]


def _signs(differences: Sequence[float] | npt.NDArray[np.float64]) -> tuple[int, int, int]:
    signs = np.sign(differences)
    return int((signs > 0).sum()), int((signs < 0).sum()), int((signs == 0).sum())
