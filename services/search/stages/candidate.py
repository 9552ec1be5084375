"""What the stages of a search hand to each other: rankings of points, then candidates for hits."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from semantik.search.v1.index_pb2 import Chunk
from services.search.stages.request import Model
from services.search.vectors.spread import Spread


class Key(NamedTuple):
    """A point: the number of the plan's query that brought it, and its id in that index."""

    query: int
    point_id: str


@dataclass(frozen=True)
class Ranking:
    """Points with scores that compare with each other, best first.

    ``name`` says what they were scored by, ``model`` whose embeddings were compared, None where none were.
    """

    name: str
    points: Sequence[tuple[Key, float]]
    model: Model | None = None

    @cached_property
    def spread(self) -> Spread:
        return Spread.of([score for _, score in self.points])


@dataclass(frozen=True)
class Candidate:
    """A point that at least one ranking brought.

    ``ranks`` (from 1), ``scores`` and ``parts``, the shares in the fused score, are those of the rankings it is in, by their names;
    ``score`` is what it is ordered by now, ``round_`` counts the times that lists were asked for before its own. ``passage`` is empty
    until it was read, ``rerank_score`` None until it was reranked.
    """

    key: Key
    score: float
    ranks: Mapping[str, int]
    scores: Mapping[str, float]
    parts: Mapping[str, float]
    fused_rank: int
    fused_score: float
    passage: Chunk = field(default_factory=Chunk)
    rerank_score: float | None = None
    round_: int = 0


def by_query(candidates: Iterable[Candidate]) -> Mapping[int, list[str]]:
    """Return the candidates' points by the number of the query that brought them."""
    ids: dict[int, list[str]] = defaultdict(list)
    for candidate in candidates:
        ids[candidate.key.query].append(candidate.key.point_id)
    return ids
