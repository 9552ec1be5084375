"""Fuses rankings whose scores do not compare into one."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from services.search.stages.candidate import Candidate, Key, Ranking
from services.search.vectors.spread import Spread

_DEVIATIONS = 3.0
_MIDDLE = 0.5


def fuse(rankings: Sequence[Ranking], limit: int) -> list[Candidate]:
    """Return the ``limit`` best points, best first.

    A single ranking stays as it is. Several are fused by Distribution-Based Score Fusion (Mazzeschi, 2023), as Qdrant computes
    it: each ranking's scores are mapped so that three standard deviations around their mean become 0 to 1, and a point's
    scores are added up.
    """
    fused: dict[Key, float] = defaultdict(float)
    places: list[dict[Key, tuple[int, float, float]]] = []
    for ranking in rankings:
        offset, scale = (0.0, 1.0) if len(rankings) == 1 else _mapping(ranking.spread)
        place: dict[Key, tuple[int, float, float]] = {}
        for rank, (key, score) in enumerate(ranking.points, 1):
            part = offset + scale * score
            fused[key] += part
            place[key] = rank, score, part
        places.append(place)
    best = sorted(fused.items(), key=lambda entry: -entry[1])[:limit]
    return [_candidate(key, rank, score, rankings, places) for rank, (key, score) in enumerate(best, 1)]


def _candidate(
    key: Key, fused_rank: int, fused_score: float, rankings: Sequence[Ranking], places: Sequence[Mapping[Key, tuple[int, float, float]]]
) -> Candidate:
    known = {ranking.name: place[key] for ranking, place in zip(rankings, places, strict=True) if key in place}
    ranks = {name: rank for name, (rank, _, _) in known.items()}
    scores = {name: score for name, (_, score, _) in known.items()}
    parts = {name: part for name, (_, _, part) in known.items()}
    return Candidate(key, fused_score, ranks, scores, parts, fused_rank, fused_score)


def _mapping(spread: Spread) -> tuple[float, float]:
    """Return offset and scale that map scores as ``fuse`` says; equal ones to the middle."""
    if spread.deviation == 0:
        return _MIDDLE, 0.0
    scale = 1 / (2 * _DEVIATIONS * spread.deviation)
    return _MIDDLE - scale * spread.mean, scale
