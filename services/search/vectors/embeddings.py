"""Embeds the texts of searches; keeps the latest vectors of questions, and how similar unrelated texts are under each model."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import grpc
from grpc import StatusCode

from libs.rpc.errors import Failure, reason_of
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.search import metrics
from services.search.stages.request import Model
from services.search.vectors import unrelated
from services.search.vectors.spread import Spread

_CAPACITY = 2000
_RETRY_SECONDS = 5.0
_Key = tuple[str, Model, "model_pb2.TextKind.ValueType", bytes]


class Embeddings:
    """Vectors are kept for each user alone: how long a question takes must not tell that somebody else has asked it."""

    def __init__(self, embedding: grpc.aio.Channel, capacity: int = _CAPACITY, clock: Callable[[], float] = time.monotonic) -> None:
        self._embedding = EmbeddingInternalServiceStub(embedding)
        self._capacity = capacity
        self._clock = clock
        self._vectors: OrderedDict[_Key, bytes] = OrderedDict()
        self._unrelated: dict[Model, Spread] = {}
        self._failed: dict[Model, float] = {}
        self._measuring = asyncio.Lock()

    async def question(self, user_id: str, text: str, model: Model) -> bytes:
        """Return the vector of a question as little-endian 32-bit floats; raises MODEL_MISMATCH where its model is not installed."""
        return await self._kept(user_id, text, model, model_pb2.TEXT_KIND_QUERY)

    async def text(self, user_id: str, text: str, model: Model) -> bytes:
        """Return the vector of a text, as of a passage; raises as ``question`` does."""
        return await self._kept(user_id, text, model, model_pb2.TEXT_KIND_PASSAGE)

    async def passages(self, texts: Sequence[str], model: Model) -> bytes:
        """Return the vectors of passages, one after another; raises as ``question`` does."""
        return await self._embed(texts, model, model_pb2.TEXT_KIND_PASSAGE)

    async def unrelated(self, model: Model) -> Spread | None:
        """Return how similar unrelated texts are, measured at a model's first use; None where that fails."""
        if model not in self._unrelated:
            async with self._measuring:
                if model not in self._unrelated and self._clock() >= self._failed.get(model, 0.0):
                    await self._measure(model)
        return self._unrelated.get(model)

    async def _measure(self, model: Model) -> None:
        try:
            questions = await self._embed(unrelated.QUESTIONS, model, model_pb2.TEXT_KIND_QUERY)
            passages = await self._embed(unrelated.PASSAGES, model, model_pb2.TEXT_KIND_PASSAGE)
        except (Failure, grpc.aio.AioRpcError):  # the search itself says what is wrong with the model
            self._failed[model] = self._clock() + _RETRY_SECONDS
        else:
            self._unrelated[model] = unrelated.spread(questions, passages)

    async def _kept(self, user_id: str, text: str, model: Model, kind: "model_pb2.TextKind.ValueType") -> bytes:
        key = user_id, model, kind, hashlib.sha256(text.encode()).digest()
        vector = self._vectors.get(key)
        metrics.query_embeddings.labels("miss" if vector is None else "hit").inc()
        if vector is None:
            vector = self._vectors[key] = await self._embed([text], model, kind)
            if len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)
        else:
            self._vectors.move_to_end(key)
        return vector

    async def _embed(self, texts: Sequence[str], model: Model, kind: "model_pb2.TextKind.ValueType") -> bytes:
        request = messages.EmbedBatchRequest(
            texts=texts,
            model=model.name,
            digest=model.digest,
            precision=model_pb2.Model.Precision.ValueType(model.precision),
            lane=messages.LANE_INTERACTIVE,
            kind=kind,
            truncate=True,
        )
        try:
            return (await self._embedding.EmbedBatch(request)).vectors
        except grpc.aio.AioRpcError as error:
            if reason_of(error) != "MODEL_NOT_FOUND":
                raise
            raise model_mismatch(f"the index was built with {model.name}, which is not installed") from error


def model_mismatch(message: str) -> Failure:
    return Failure(StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_MODEL_MISMATCH, message)
