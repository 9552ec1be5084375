"""The path of a search, one stage after another."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import grpc

from libs.rpc.call import Principal
from libs.rpc.paging import Pager
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.search.v1 import search_service_pb2 as messages
from semantik.search.v1.search_warning_pb2 import SearchWarning
from services.search import metrics
from services.search.collection_access import CollectionAccess
from services.search.filters.indexed import with_unindexed
from services.search.qdrant import Qdrant
from services.search.stages.availability import with_indexes, with_models
from services.search.stages.candidate import Candidate, Ranking
from services.search.stages.embed import Embedded, embed
from services.search.stages.explain import explain_hits, explanation
from services.search.stages.facets import facets
from services.search.stages.neighbours import add_neighbours, around, section
from services.search.stages.present import present
from services.search.stages.read import read
from services.search.stages.relevance import Relevance, relevance
from services.search.stages.request import Model, Plan, neighbours
from services.search.stages.request import plan as planned
from services.search.stages.rerank import rerank
from services.search.stages.retrieve import retrieve, words_ahead
from services.search.stages.scope import Scope, scope
from services.search.stages.select import select
from services.search.stages.trace import Trace
from services.search.terms import Terms
from services.search.vectors.embeddings import Embeddings
from services.search.vectors.spread import Spread


class Found(NamedTuple):
    """The candidates that fit best, whose passages are read, and the rankings of each round; ``plan`` has only what is available."""

    plan: Plan
    rankings: Sequence[Sequence[Ranking]]
    unrelated: Mapping[Model, Spread | None]
    candidates: Sequence[Candidate]
    has_more: bool
    warnings: list[SearchWarning]


class Search:
    def __init__(self, qdrant: Qdrant, access: CollectionAccess, embeddings: Embeddings, embedding: grpc.aio.Channel, pager: Pager) -> None:
        self._qdrant = qdrant
        self._access = access
        self._embeddings = embeddings
        self._embedding = EmbeddingInternalServiceStub(embedding)
        self._pager = pager
        self.count = 0
        """Searches so far, of people and of evaluations."""

    async def search(self, principal: Principal, request: messages.SearchRequest, generation: int = 0) -> messages.SearchResponse:
        """Search; nothing is read before every collection is known to be readable.

        The collections that are named are searched in their active index, or in that of ``generation``.
        """
        trace = Trace()
        cursor = self._pager.cursor(request, principal)
        with trace.stage("authorize"):
            searched = await scope(self._access, principal, request.collection_ids, generation)
        plan = planned(request, searched.collections, offset=int(cursor[0]) if cursor else 0)
        found = await self.find(
            principal, searched, plan, lambda model: self._embeddings.question(principal.user_id, plan.text, model), trace
        )
        plan, candidates, reranker = found.plan, found.candidates, None
        if plan.reranked and candidates:
            with trace.stage("rerank"):
                candidates, reranker = await rerank(self._embedding, request.rerank.model, plan.text, candidates)
            candidates = candidates[: plan.limit]
        terms = Terms(plan.text, plan.language)
        hits, relevances = self.present(found, terms, candidates, trace)
        if reach := neighbours(request):
            with trace.stage("neighbours"):
                chosen = section if request.section_neighbours else around
                found.warnings.extend(await add_neighbours(self._qdrant, plan, candidates, hits, reach, chosen))
        mode = messages.SearchMode.Name(request.mode or messages.SEARCH_MODE_HYBRID).removeprefix("SEARCH_MODE_")
        metrics.hits.labels(mode).observe(len(hits))
        counts = []
        if (request.facets or request.metadata_facets) and cursor is None:
            with trace.stage("facets"):
                counts = await facets(self._qdrant, plan, request.facets, request.metadata_facets)
        token = self._pager.token([plan.end], request, principal) if found.has_more else ""
        response = messages.SearchResponse(
            hits=hits, timings=trace.timings(), next_page_token=token, facets=counts, warnings=found.warnings
        )
        if request.explain:
            explain_hits(plan, found.rankings, candidates, relevances, response.hits)
            response.explanation.CopyFrom(explanation(plan, terms, found.rankings, request, reranker, trace))
        return response

    async def find(
        self, principal: Principal, searched: Scope, plan: Plan, vector: Callable[[Model], Awaitable[bytes]], trace: Trace
    ) -> Found:
        """Return the plan's candidates; ``vector`` returns the query's vector under a model."""
        self.count += 1
        warnings, embedded = searched.warnings, Embedded({}, {}, {})
        plan = await with_unindexed(self._qdrant, plan)
        async with words_ahead(self._qdrant, plan) as words:
            if plan.by_meaning:
                with trace.stage("embed"):
                    embedded = await embed(self._embeddings, plan, vector)
                plan, away = with_models(plan, embedded.failures)
                warnings += away
            with trace.stage("retrieve"):
                retrieved = await retrieve(self._qdrant, plan, embedded.vectors, trace, words)
        warnings += with_indexes(plan, retrieved.failures)
        if retrieved.missing and searched.is_named:
            # The worker creates an index with the first document and drops it with the collection: see which of both it is.
            with trace.stage("authorize"):
                await self._access.confirm(principal, retrieved.missing)
        with trace.stage("fuse"):
            # A cross-encoder sees more than a page, and leaves one page.
            wanted = replace(plan, limit=plan.reranked) if plan.reranked else plan
            candidates, has_more, rankings = await select(self._qdrant, wanted, embedded.vectors, retrieved.rankings, trace)
        with trace.stage("read"):
            candidates = await read(self._qdrant, plan, candidates)
        return Found(plan, rankings, embedded.unrelated, candidates, has_more and not plan.reranked, warnings)

    def present(
        self, found: Found, terms: Terms, candidates: Sequence[Candidate], trace: Trace
    ) -> tuple[list[messages.Hit], list[Relevance]]:
        """Return the hits, and how relevant each is."""
        with trace.stage("present"):
            hits = present(found.plan, candidates)
            relevances = relevance(found.plan, terms, found.rankings, found.unrelated, candidates, hits)
            for hit, each in zip(hits, relevances, strict=True):
                hit.is_weak_match = each.is_weak
        return hits, relevances
