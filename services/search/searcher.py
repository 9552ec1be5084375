"""The flow of a search: what may be read, the query's vectors, one query an index, one list of hits."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
import numpy as np

from libs.rpc.call import Principal
from libs.rpc.errors import reason_of
from libs.rpc.timestamps import duration
from semantik.collection.v1.collection_internal_service_pb2 import AuthorizedCollection
from semantik.embedding.v1 import embedding_internal_service_pb2 as embedding_messages
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.search.v1 import search_service_pb2 as messages
from services.search.authority import Authority
from services.search.highlights import highlights
from services.search.queries import index_filter
from services.search.retrieval import Found, Retrieval, Side, model_mismatch

DEFAULT_LIMIT = 10
_Model = tuple[str, str, int]


@dataclass
class _Stopwatch:
    started: float = field(default_factory=time.perf_counter)
    last: float = field(default_factory=time.perf_counter)

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        return seconds

    def total(self) -> float:
        return time.perf_counter() - self.started


class Searcher:
    def __init__(self, retrieval: Retrieval, authority: Authority, embedding: grpc.aio.Channel) -> None:
        self._retrieval = retrieval
        self._authority = authority
        self._embedding = EmbeddingInternalServiceStub(embedding)

    async def search(self, principal: Principal, request: messages.SearchRequest) -> messages.SearchResponse:
        """Search; nothing is read before every collection is known to be readable."""
        watch = _Stopwatch()
        mode = request.mode or messages.SEARCH_MODE_HYBRID
        limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
        collections = await self._authority.readable(principal, request.collection_ids)
        authorize = watch.lap()
        vectors = {} if mode == messages.SEARCH_MODE_KEYWORD else await self._embed(request.query, collections)
        embed = watch.lap()
        text = "" if mode == messages.SEARCH_MODE_SEMANTIC else request.query
        sides = [Side(each.index_name, _model(each), text, vectors.get(_model(each))) for each in collections]
        found = await self._retrieval.best(sides, index_filter(request.filter), limit)
        hits = [_hit(collections[each.side].collection_id, each, request.query) for each in found]
        query = watch.lap()
        timings = messages.Timings(
            authorize=duration(authorize), embed=duration(embed), query=duration(query), total=duration(watch.total())
        )
        return messages.SearchResponse(hits=hits, timings=timings)

    async def _embed(self, query: str, collections: Sequence[AuthorizedCollection]) -> dict[_Model, list[float]]:
        """Embed the query once for each model and precision among the collections."""
        models = {_model(each): each for each in collections}
        vectors = await asyncio.gather(*(self._vector(query, each) for each in models.values()))
        return dict(zip(models, vectors, strict=True))

    async def _vector(self, query: str, collection: AuthorizedCollection) -> list[float]:
        request = embedding_messages.EmbedBatchRequest(
            texts=[query],
            model=collection.model,
            digest=collection.digest,
            precision=collection.precision,
            lane=embedding_messages.LANE_INTERACTIVE,
            kind=model_pb2.TEXT_KIND_QUERY,
            truncate=True,
        )
        try:
            answer = await self._embedding.EmbedBatch(request)
        except grpc.aio.AioRpcError as error:
            if reason_of(error) != "MODEL_NOT_FOUND":
                raise
            raise model_mismatch(f"the index was built with {collection.model}, which is not installed") from error
        vector: list[float] = np.frombuffer(answer.vectors, "<f4").tolist()
        return vector


def _model(collection: AuthorizedCollection) -> _Model:
    return collection.model, collection.digest, collection.precision


def _hit(collection_id: str, found: Found, query: str) -> messages.Hit:
    payload = found.payload
    return messages.Hit(
        collection_id=collection_id,
        document_id=payload["document_id"],
        source_id=payload["source_id"],
        path=payload["path"],
        name=payload["name"],
        mime_type=payload["mime_type"],
        ordinal=payload["ordinal"],
        text=payload["text"],
        start_offset=payload["start_offset"],
        end_offset=payload["end_offset"],
        score=found.score,
        highlights=highlights(query, payload["text"]),
        page=payload.get("page", 0),
        section=payload.get("section", ""),
    )
