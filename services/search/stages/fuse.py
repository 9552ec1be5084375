"""Fuses rankings whose scores do not compare into one."""

import math
from collections import defaultdict
from collections.abc import Sequence

from services.search.stages.candidate import Candidate, Key, Ranking

_DEVIATIONS = 3.0
_MIDDLE = 0.5


def fuse(rankings: Sequence[Ranking], limit: int) -> list[Candidate]:
    """Return the ``limit`` best points, best first.

    A single ranking stays as it is. Several are fused by Distribution-Based Score Fusion (Mazzeschi, 2023), as Qdrant computes
    it: each ranking's scores are mapped so that three standard deviations around their mean become 0 to 1, and a point's
    scores are added up.
    """
    fused: dict[Key, float] = defaultdict(float)
    ranks: dict[Key, dict[str, int]] = defaultdict(dict)
    scores: dict[Key, dict[str, float]] = defaultdict(dict)
    for ranking in rankings:
        given = [score for _, score in ranking.points]
        mapped = given if len(rankings) == 1 else _normalized(given)
        for rank, ((key, score), normalized) in enumerate(zip(ranking.points, mapped, strict=True), 1):
            fused[key] += normalized
            ranks[key][ranking.name] = rank
            scores[key][ranking.name] = score
    best = sorted(fused.items(), key=lambda entry: -entry[1])[:limit]
    return [Candidate(key, score, ranks[key], scores[key]) for key, score in best]


def _normalized(scores: Sequence[float]) -> list[float]:
    if len(scores) < 2:
        return [_MIDDLE] * len(scores)
    mean = sum(scores) / len(scores)
    deviation = math.sqrt(sum((score - mean) ** 2 for score in scores) / (len(scores) - 1))
    if deviation == 0:
        return [_MIDDLE] * len(scores)
    low = mean - _DEVIATIONS * deviation
    return [(score - low) / (2 * _DEVIATIONS * deviation) for score in scores]
