"""Tells which terms a hit has, and whether it is hardly more than chance."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from semantik.search.v1.search_service_pb2 import Hit
from services.search.passage import DENSE
from services.search.stages.candidate import Candidate, Ranking
from services.search.stages.request import Model, Plan
from services.search.terms import Terms
from services.search.vectors.spread import Spread

# Where unrelated and relevant hits part (see DECISIONS.md).
_DEVIATIONS = 3.0
_TERMS = 3
_SHARE = 0.5


class Relevance(NamedTuple):
    """The terms of the query that a hit has, and the deviations of its similarity above unrelated texts, None where not known."""

    terms: Sequence[str]
    deviations: float | None
    is_weak: bool


def relevance(
    plan: Plan,
    terms: Terms,
    rounds: Sequence[Sequence[Ranking]],
    unrelated: Mapping[Model, Spread | None],
    candidates: Sequence[Candidate],
    hits: Sequence[Hit],
) -> list[Relevance]:
    """Return the relevance of each hit.

    A weak one is less than three deviations above unrelated texts, and has fewer than three and at most half of the terms. A
    passage that the ranking by meaning did not reach is no nearer than the last one in it.
    """
    last = {
        (number, ranking.model): ranking.points[-1][1]
        for number, rankings in enumerate(rounds)
        for ranking in rankings
        if ranking.name == DENSE and ranking.points
    }
    found = []
    for candidate, hit in zip(candidates, hits, strict=True):
        model, known = plan.queries[candidate.key.query].model, terms.of(hit)
        similarity = candidate.scores.get(DENSE)
        deviations = _deviations(similarity, unrelated.get(model))
        at_most = deviations if similarity is not None else _deviations(last.get((candidate.round_, model)), unrelated.get(model))
        is_far = at_most is not None and at_most < _DEVIATIONS if plan.by_meaning else True
        has_few = len(known) < _TERMS and len(known) <= _SHARE * len(terms.words)
        found.append(Relevance(known, deviations, is_far and has_few))
    return found


def _deviations(similarity: float | None, spread: Spread | None) -> float | None:
    if similarity is None or spread is None or spread.deviation == 0:
        return None
    return (similarity - spread.mean) / spread.deviation
