"""What the stages of a search hand to each other: rankings of points, then candidates for hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from semantik.search.v1.index_pb2 import Chunk


class Key(NamedTuple):
    """A point: the number of the plan's query that brought it, and its id in that index."""

    query: int
    point_id: str


@dataclass(frozen=True)
class Ranking:
    """Points with scores that compare with each other, best first; ``name`` says what they were scored by."""

    name: str
    points: Sequence[tuple[Key, float]]


@dataclass(frozen=True)
class Candidate:
    """A point that at least one ranking brought.

    ``ranks`` (from 1) and ``scores`` are those of the rankings it is in, by their names; ``score`` is what it is ordered by now.
    ``passage`` is empty until it was read.
    """

    key: Key
    score: float
    ranks: Mapping[str, int]
    scores: Mapping[str, float]
    passage: Chunk = field(default_factory=Chunk)
