"""Selects the hits of a page: similar enough, at most so many of a document, from deeper lists where the first have too few."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.search import conditions, metrics
from services.search.passage import DENSE, DOCUMENT, selector
from services.search.qdrant import Qdrant
from services.search.stages.candidate import Candidate, Key, Ranking
from services.search.stages.fuse import fuse
from services.search.stages.read import stored
from services.search.stages.request import Model, Plan
from services.search.stages.retrieve import retrieve
from services.search.stages.similarity import with_similarity
from services.search.stages.trace import Trace

MOST_HITS = 1000
_DEEP = MOST_HITS
_DOCUMENT = selector(DOCUMENT)
# The first lists, deep ones, and those without the documents that have all their hits.
_MOST_ROUNDS = 20


async def select(
    qdrant: Qdrant, plan: Plan, vectors: Mapping[Model, bytes], rankings: Sequence[Ranking], trace: Trace
) -> tuple[Sequence[Candidate], bool, Sequence[Sequence[Ranking]]]:
    """Return the candidates of the page, best first, whether there may be another page, and the rankings of each round.

    What the first lists hold comes first, then what deep ones add, and so on: the order of all hits does not depend on the page, so
    that no hit is on two pages or on none while the index stays as it is.
    """
    selection, current, is_last = _Selection(plan), plan, False
    rounds: list[Sequence[Ranking]] = []
    for number in range(_MOST_ROUNDS):
        if number:
            current = replace(plan, depth=_DEEP, filter_=_without(plan.filter_, selection.full))
            rankings = (await retrieve(qdrant, current, vectors, trace)).rankings
        rounds.append(rankings)
        is_complete = _is_complete(rankings, current)
        candidates = [each for each in fuse(rankings, _wanted(current, rankings)) if each.key not in selection.seen]
        selection.seen |= {each.key for each in candidates}
        if plan.min_similarity is not None:
            if not is_complete:
                candidates = await with_similarity(qdrant, plan, vectors, candidates)
            candidates = [each for each in candidates if each.scores.get(DENSE, -math.inf) >= plan.min_similarity]
        points = await stored(qdrant, plan, candidates, _DOCUMENT) if plan.max_hits_per_document else {}
        selection.add(number, candidates, {key: point.payload[DOCUMENT].string_value for key, point in points.items()})
        is_last = is_complete or not _are_full(rankings, current) or (current.depth == _DEEP and not selection.full)
        if is_last or len(selection.candidates) >= plan.end:
            break
    metrics.rounds.observe(number + 1)
    has_more = len(selection.candidates) > plan.end or (len(selection.candidates) == plan.end and not is_last)
    return selection.candidates[plan.offset : min(plan.end, MOST_HITS)], has_more and plan.end < MOST_HITS, rounds


@dataclass
class _Selection:
    """The hits so far, in their order; ``full`` are the documents that have all the hits they may have."""

    plan: Plan
    candidates: list[Candidate] = field(default_factory=list)
    seen: set[Key] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> list[str]:
        most = self.plan.max_hits_per_document
        return [document for document, count in self.counts.items() if count == most]

    def add(self, number: int, candidates: Sequence[Candidate], documents: Mapping[Key, str]) -> None:
        """Append those of a round that a document may still have; no score is above the one before."""
        highest = self.candidates[-1].score if self.candidates else math.inf
        for candidate in candidates:
            if self.plan.max_hits_per_document:
                document = documents.get(candidate.key)
                if document is None or self.counts[document] == self.plan.max_hits_per_document:
                    continue
                self.counts[document] += 1
            score, rank = min(candidate.score, highest), len(self.candidates) + 1
            self.candidates.append(replace(candidate, score=score, fused_rank=rank, round_=number))


def _wanted(plan: Plan, rankings: Sequence[Ranking]) -> int:
    """Return how many of the fused points are looked at: to the one after the page, or all where some are left out."""
    if plan.depth < _DEEP and plan.min_similarity is None and plan.max_hits_per_document is None:
        return plan.end + 1
    return sum(len(ranking.points) for ranking in rankings)


def _are_full(rankings: Sequence[Ranking], plan: Plan) -> bool:
    return any(len(ranking.points) == plan.depth for ranking in rankings)


def _is_complete(rankings: Sequence[Ranking], plan: Plan) -> bool:
    """Return whether the lists by meaning hold everything that is similar enough."""
    least = plan.min_similarity
    if least is None:
        return False
    return all(len(each.points) < plan.depth or each.points[-1][1] < least for each in rankings if each.name == DENSE)


def _without(filter_: Any, documents: Sequence[str]) -> Any:
    if not documents:
        return filter_
    return conditions.all_of(conditions.nested(filter_), conditions.nested(conditions.none_of(conditions.is_in(DOCUMENT, documents))))
