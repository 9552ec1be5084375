"""The mean and the standard deviation of scores."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Spread(NamedTuple):
    """``deviation`` has the number of scores less one as divisor, and is 0 for less than two."""

    mean: float
    deviation: float

    @staticmethod
    def of(scores: Sequence[float]) -> "Spread":
        mean = sum(scores) / len(scores) if scores else 0.0
        if len(scores) < 2:
            return Spread(mean, 0.0)
        return Spread(mean, math.sqrt(sum((score - mean) ** 2 for score in scores) / (len(scores) - 1)))
