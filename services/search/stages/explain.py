"""Explains a search from what its stages have left: with it each score can be computed again."""

from collections.abc import Sequence

from google.protobuf import json_format

from libs.rpc.timestamps import duration
from semantik.embedding.v1.model_pb2 import Model as ModelMessage
from semantik.search.v1 import explanation_pb2 as messages
from semantik.search.v1.search_service_pb2 import Hit, SearchRequest
from services.search.passage import DENSE
from services.search.stages.candidate import Candidate, Ranking
from services.search.stages.relevance import Relevance
from services.search.stages.request import Plan
from services.search.stages.retrieve import BM25
from services.search.stages.trace import Trace
from services.search.terms import Terms

_KINDS = {DENSE: messages.Ranking.KIND_MEANING, BM25: messages.Ranking.KIND_WORDS}


def explanation(
    plan: Plan,
    terms: Terms,
    rounds: Sequence[Sequence[Ranking]],
    request: SearchRequest,
    reranker: messages.Reranker | None,
    trace: Trace,
) -> messages.SearchExplanation:
    """Return what is said once about all hits."""
    return messages.SearchExplanation(
        rankings=[_ranking(ranking, number) for number, rankings in enumerate(rounds, 1) for ranking in rankings],
        indexes=[
            messages.SearchedIndex(
                collection_id=query.collection_id,
                generation=query.generation,
                model=query.model.name,
                digest=query.model.digest,
                precision=ModelMessage.Precision.ValueType(query.model.precision),
            )
            for query in plan.queries
        ],
        terms=terms.words.values(),
        phrases=plan.phrases,
        filter=json_format.MessageToJson(request.filter, indent=None) if request.filter.ListFields() else "",
        filter_text=request.filter_text,
        reranker=reranker,
        stages=[messages.StageTime(stage=name, time=duration(seconds)) for name, seconds in trace.seconds.items()],
    )


def explain_hits(
    plan: Plan, rounds: Sequence[Sequence[Ranking]], candidates: Sequence[Candidate], found: Sequence[Relevance], hits: Sequence[Hit]
) -> None:
    """Say of each hit how it came to its place."""
    flat = ((number, ranking.name, ranking.model) for number, rankings in enumerate(rounds) for ranking in rankings)
    places = {key: place for place, key in enumerate(flat)}
    for candidate, relevance, hit in zip(candidates, found, hits, strict=True):
        model = plan.queries[candidate.key.query].model
        hit.explanation.CopyFrom(
            messages.HitExplanation(
                meaning=_ranked(candidate, DENSE, places.get((candidate.round_, DENSE, model))),
                words=_ranked(candidate, BM25, places.get((candidate.round_, BM25, None))),
                terms=relevance.terms,
                fused_rank=candidate.fused_rank,
                fused_score=candidate.fused_score,
                rerank_score=candidate.rerank_score,
                deviations_above_unrelated=relevance.deviations,
            )
        )


def _ranking(ranking: Ranking, number: int) -> messages.Ranking:
    model = ranking.model
    return messages.Ranking(
        round=number,
        kind=_KINDS[ranking.name],
        model=model.name if model else "",
        precision=ModelMessage.Precision.ValueType(model.precision) if model else ModelMessage.PRECISION_UNSPECIFIED,
        point_count=len(ranking.points),
        mean=ranking.spread.mean,
        deviation=ranking.spread.deviation,
    )


def _ranked(candidate: Candidate, name: str, ranking: int | None) -> messages.RankedScore | None:
    if ranking is None or name not in candidate.ranks:
        return None
    return messages.RankedScore(ranking=ranking, rank=candidate.ranks[name], score=candidate.scores[name], part=candidate.parts[name])
