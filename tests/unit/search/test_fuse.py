"""Our fusion against the engine's own, and what it does at its edges."""

import random
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge

from services.search.stages.candidate import Key, Ranking
from services.search.stages.fuse import fuse

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


def _rankings(lists: list[list[tuple[str, float]]]) -> list[Ranking]:
    return [Ranking(str(number), [(Key(0, point), score) for point, score in points]) for number, points in enumerate(lists)]


@pytest.mark.parametrize("limit", [1, 2, 10, _POINTS])
def test_it_equals_the_engines_own(shard: edge.EdgeShard, limit: int) -> None:
    """The same scores for the same lists."""
    query = [1.0] * _SIZE
    nearest = {name: edge.Query.Nearest(query, using=name) for name in ("a", "b")}
    lists = [
        [(str(point.id), point.score) for point in shard.query(edge.QueryRequest(query=each, limit=limit))] for each in nearest.values()
    ]
    prefetches = [edge.Prefetch(query=each, limit=limit) for each in nearest.values()]
    fusion: Any = edge.Fusion.Dbsf()
    theirs = shard.query(edge.QueryRequest(query=fusion, prefetches=prefetches, limit=2 * limit))
    ours = fuse(_rankings(lists), 2 * limit)
    assert {each.key.point_id: pytest.approx(each.score, abs=1e-5) for each in ours} == {str(point.id): point.score for point in theirs}


@pytest.mark.parametrize(
    ("lists", "fused"),
    [
        ([], []),
        ([[], []], []),
        ([[("a", 7.0), ("b", 3.0)]], [("a", 7.0), ("b", 3.0)]),
        ([[("a", 7.0)], []], [("a", 0.5)]),
        ([[("a", 2.0), ("b", 2.0)], []], [("a", 0.5), ("b", 0.5)]),
        ([[("a", 9.0)], [("b", 0.1)], [("a", 1.0)]], [("a", 1.0), ("b", 0.5)]),
    ],
)
def test_a_ranking_without_spread_says_nothing_about_order(lists: list[list[tuple[str, float]]], fused: list[tuple[str, float]]) -> None:
    """Of several, a single or equal scores count half, whatever their scale; one alone keeps its scores."""
    assert [(each.key.point_id, each.score) for each in fuse(_rankings(lists), 10)] == fused


def test_a_candidate_remembers_its_ranks_and_scores() -> None:
    """By list; absent where a list did not bring it."""
    first, second = fuse(_rankings([[("a", 9.0), ("b", 5.0)], [("b", 0.4)]]), 10)
    assert (first.key.point_id, dict(first.ranks), dict(first.scores)) == ("b", {"0": 2, "1": 1}, {"0": 5.0, "1": 0.4})
    assert (second.key.point_id, dict(second.ranks), dict(second.scores)) == ("a", {"0": 1}, {"0": 9.0})
