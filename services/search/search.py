"""The path of a search, one stage after another."""

import grpc

from libs.rpc.call import Principal
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.search.v1 import search_service_pb2 as messages
from services.search import metrics
from services.search.collection_access import CollectionAccess
from services.search.qdrant import Qdrant
from services.search.stages.embed import embed
from services.search.stages.fuse import fuse
from services.search.stages.present import present
from services.search.stages.read import read
from services.search.stages.request import plan as planned
from services.search.stages.retrieve import retrieve
from services.search.stages.trace import Trace


class Search:
    def __init__(self, qdrant: Qdrant, access: CollectionAccess, embedding: grpc.aio.Channel) -> None:
        self._qdrant = qdrant
        self._access = access
        self._embedding = EmbeddingInternalServiceStub(embedding)

    async def search(self, principal: Principal, request: messages.SearchRequest) -> messages.SearchResponse:
        """Search; nothing is read before every collection is known to be readable."""
        trace = Trace()
        with trace.stage("authorize"):
            collections = await self._access.readable(principal, request.collection_ids)
        plan = planned(request, collections)
        if plan.by_meaning:
            with trace.stage("embed"):
                vectors = await embed(self._embedding, plan)
        else:
            vectors = {}
        with trace.stage("retrieve"):
            rankings, missing = await retrieve(self._qdrant, plan, vectors, trace)
        if missing:
            # The worker creates an index with the first document and drops it with the collection: see which of both it is.
            with trace.stage("authorize"):
                await self._access.confirm(principal, missing)
        with trace.stage("fuse"):
            candidates = fuse(rankings, plan.limit)
        with trace.stage("read"):
            candidates = await read(self._qdrant, plan, candidates)
        with trace.stage("present"):
            hits = present(plan, candidates)
        mode = messages.SearchMode.Name(request.mode or messages.SEARCH_MODE_HYBRID).removeprefix("SEARCH_MODE_")
        metrics.hits.labels(mode).observe(len(hits))
        return messages.SearchResponse(hits=hits, timings=trace.timings())
