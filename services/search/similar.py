"""Finds what is near in meaning to a document, a passage or a text."""

from collections.abc import Awaitable, Callable

import numpy as np

from libs.rpc.call import Principal
from semantik.search.v1 import search_service_pb2 as messages
from services.search.collection_access import CollectionAccess
from services.search.qdrant import Qdrant
from services.search.search import Search
from services.search.stages.request import Model, model_of, similar_plan
from services.search.stages.scope import scope
from services.search.stages.trace import Trace
from services.search.terms import Terms
from services.search.vectors.embeddings import Embeddings
from services.search.vectors.example import example, mean

# How many passages stand for a document under a model that it is not indexed with.
_EMBEDDED = 4
_Vector = Callable[[Model], Awaitable[bytes]]


class Similar:
    def __init__(self, qdrant: Qdrant, access: CollectionAccess, embeddings: Embeddings, search: Search) -> None:
        self._qdrant = qdrant
        self._access = access
        self._embeddings = embeddings
        self._search = search

    async def find(self, principal: Principal, request: messages.FindSimilarRequest) -> messages.FindSimilarResponse:
        """Search by meaning alone; nothing is read before the document and every collection are known to be readable."""
        trace = Trace()
        document_id = request.chunk.document_id or request.document_id
        with trace.stage("authorize"):
            searched = await scope(self._access, principal, request.collection_ids)
        vector = await self._vector(principal, request, document_id, trace)
        plan = similar_plan(request, searched.collections, document_id)
        found = await self._search.find(principal, searched, plan, vector, trace)
        hits, _ = self._search.present(found, Terms(""), found.candidates, trace)
        return messages.FindSimilarResponse(hits=hits, timings=trace.timings(), warnings=found.warnings)

    async def _vector(self, principal: Principal, request: messages.FindSimilarRequest, document_id: str, trace: Trace) -> _Vector:
        if not document_id:
            return lambda model: self._embeddings.text(principal.user_id, request.text, model)
        with trace.stage("authorize"):
            collection = await self._access.of_document(principal, document_id)
        ordinal = request.chunk.ordinal if request.HasField("chunk") else None
        with trace.stage("read"):
            given, own = await example(self._qdrant, collection.index_name, document_id, ordinal), model_of(collection)

        async def vector(model: Model) -> bytes:
            if model == own:
                return given.vector
            texts = given.texts[:_EMBEDDED]
            rows = np.frombuffer(await self._embeddings.passages(texts, model), "<f4").reshape(len(texts), -1)
            return mean([row.tobytes() for row in rows])

        return vector
