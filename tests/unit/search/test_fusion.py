"""Our fusion against the engine's own, and what it does at its edges."""

import random
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge

from services.search.fusion import dbsf

_POINTS = 60
_SIZE = 8


@pytest.fixture
def shard(tmp_path: Path) -> edge.EdgeShard:
    vectors = {name: edge.EdgeVectorParams(size=_SIZE, distance=edge.Distance.Cosine) for name in ("a", "b")}
    shard = edge.EdgeShard.create(str(tmp_path), edge.EdgeConfig(vectors=vectors, max_search_threads=1))
    numbers = random.Random(5)  # noqa: S311 - no secret, only spread
    points = [
        edge.Point(id=number, vector={name: [numbers.gauss(0, 1) for _ in range(_SIZE)] for name in vectors}) for number in range(_POINTS)
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))
    return shard


@pytest.mark.parametrize("limit", [1, 2, 10, _POINTS])
def test_it_equals_the_engines_own(shard: edge.EdgeShard, limit: int) -> None:
    """One collection or several: the same scores."""
    query = [1.0] * _SIZE
    nearest = {name: edge.Query.Nearest(query, using=name) for name in ("a", "b")}
    rankings = [[(point.id, point.score) for point in shard.query(edge.QueryRequest(query=each, limit=limit))] for each in nearest.values()]
    prefetches = [edge.Prefetch(query=each, limit=limit) for each in nearest.values()]
    fusion: Any = edge.Fusion.Dbsf()
    theirs = shard.query(edge.QueryRequest(query=fusion, prefetches=prefetches, limit=2 * limit))
    ours = dbsf(rankings)
    assert {key: pytest.approx(score, abs=1e-5) for key, score in ours} == {point.id: point.score for point in theirs}


@pytest.mark.parametrize(
    ("rankings", "fused"),
    [
        ([], []),
        ([[], []], []),
        ([[("a", 7.0)]], [("a", 0.5)]),
        ([[("a", 2.0), ("b", 2.0)]], [("a", 0.5), ("b", 0.5)]),
        ([[("a", 9.0)], [("b", 0.1)], [("a", 1.0)]], [("a", 1.0), ("b", 0.5)]),
    ],
)
def test_a_ranking_without_spread_says_nothing_about_order(rankings: list[list[tuple[str, float]]], fused: list[tuple[str, float]]) -> None:
    """A single or equal scores count half, whatever their scale."""
    assert dbsf(rankings) == fused
