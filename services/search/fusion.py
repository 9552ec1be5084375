"""Fuses rankings of different scales into one."""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_DEVIATIONS = 3.0
_MIDDLE = 0.5


def dbsf(rankings: Sequence[Sequence[tuple[_Key, float]]]) -> list[tuple[_Key, float]]:
    """Return all keys with their fused scores, best first.

    Distribution-Based Score Fusion (Mazzeschi, 2023), as Qdrant computes it: each ranking's scores are mapped so that three
    standard deviations around their mean become 0 to 1, and a key's scores are added up.
    """
    fused: dict[_Key, float] = defaultdict(float)
    for ranking in rankings:
        for (key, _), score in zip(ranking, _normalized([score for _, score in ranking]), strict=True):
            fused[key] += score
    return sorted(fused.items(), key=lambda entry: -entry[1])


def _normalized(scores: Sequence[float]) -> list[float]:
    if len(scores) < 2:
        return [_MIDDLE] * len(scores)
    mean = sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / (len(scores) - 1))
    if deviation == 0:
        return [_MIDDLE] * len(scores)
    low = mean - _DEVIATIONS * deviation
    return [(score - low) / (2 * _DEVIATIONS * deviation) for score in scores]
