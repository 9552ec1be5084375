"""What search keeps of the embedding service's answers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pytest

from libs.rpc.errors import Failure, not_found
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1 import embedding_internal_service_pb2_grpc
from semantik.embedding.v1.model_pb2 import TEXT_KIND_PASSAGE, TEXT_KIND_QUERY
from services.search.stages.request import Model
from services.search.vectors import unrelated
from services.search.vectors.embeddings import Embeddings

_MODEL = Model("m", "d", 1)


@dataclass
class _Embedding(embedding_internal_service_pb2_grpc.EmbeddingInternalServiceServicer):
    """Makes a vector of two numbers of a text's length, and refuses ``gone``."""

    gone: bool = False
    asked: list[tuple[list[str], int]] = field(default_factory=list)

    async def EmbedBatch(self, request: messages.EmbedBatchRequest, context: Any) -> Any:
        self.asked.append((list(request.texts), request.kind))
        if self.gone:
            await not_found("model", request.model).abort(context)
        rows = np.array([[np.cos(len(text)), np.sin(len(text))] for text in request.texts], "<f4")
        return messages.EmbedBatchResponse(vectors=rows.tobytes(), dimension=2)


@dataclass
class _Case:
    embedding: _Embedding
    embeddings: Embeddings
    now: list[float]


@pytest.fixture
async def case() -> AsyncIterator[_Case]:
    """The cache before a server of its own, on a clock of its own, with room for three vectors."""
    server = grpc.aio.server()
    embedding, now = _Embedding(), [100.0]  # type: ignore[abstract]  # the other methods stay unimplemented
    embedding_internal_service_pb2_grpc.add_EmbeddingInternalServiceServicer_to_server(embedding, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield _Case(embedding, Embeddings(channel, 3, clock=lambda: now[0]), now)
    await server.stop(0)


async def test_a_question_is_embedded_once(case: _Case) -> None:
    """For each user, model, precision and kind; what was used longest ago leaves."""
    first = await case.embeddings.question("ada", "whale", _MODEL)
    assert await case.embeddings.question("ada", "whale", _MODEL) == first
    assert case.embedding.asked == [(["whale"], TEXT_KIND_QUERY)]
    await case.embeddings.text("ada", "whale", _MODEL)
    assert case.embedding.asked[1:] == [(["whale"], TEXT_KIND_PASSAGE)]
    for user, model in (("ada", Model("m", "d", 2)), ("ada", Model("m", "e", 1)), ("eve", _MODEL)):
        before = len(case.embedding.asked)
        await case.embeddings.question(user, "whale", model)
        assert len(case.embedding.asked) == before + 1
    before = len(case.embedding.asked)
    await case.embeddings.question("ada", "whale", _MODEL)
    assert len(case.embedding.asked) == before + 1, "more than three were kept"


async def test_a_refusal_is_not_kept(case: _Case) -> None:
    """A model that comes back is used at once."""
    case.embedding.gone = True
    with pytest.raises(Failure) as refusal:
        await case.embeddings.question("ada", "whale", _MODEL)
    assert refusal.value.reason_name == "MODEL_MISMATCH"
    case.embedding.gone = False
    assert await case.embeddings.question("ada", "whale", _MODEL)


async def test_unrelated_texts_are_measured_once_a_model(case: _Case) -> None:
    """Also after a failure, which is not repeated for five seconds."""
    case.embedding.gone = True
    assert await case.embeddings.unrelated(_MODEL) is None
    case.embedding.gone = False
    case.now[0] += 4.9
    assert await case.embeddings.unrelated(_MODEL) is None
    assert len(case.embedding.asked) == 1
    case.now[0] += 0.1
    spread = await case.embeddings.unrelated(_MODEL)
    similarities = [
        np.cos(len(question) - len(passage))
        for number, question in enumerate(unrelated.QUESTIONS)
        for other, passage in enumerate(unrelated.PASSAGES)
        if number != other
    ]
    assert spread is not None
    assert spread.mean == pytest.approx(np.mean(similarities), abs=1e-5)
    assert spread.deviation == pytest.approx(np.std(similarities, ddof=1), abs=1e-5)
    before = len(case.embedding.asked)
    assert await case.embeddings.unrelated(_MODEL) == spread
    assert len(case.embedding.asked) == before
