"""The three services of embedding through their stubs."""

from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import pytest

from libs.rpc.errors import reason_of
from semantik.embedding.v1 import embedding_internal_service_pb2 as internal
from semantik.embedding.v1 import embedding_service_pb2 as public
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1 import model_service_pb2 as models
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from semantik.embedding.v1.model_service_pb2_grpc import ModelServiceStub
from tests.conftest import Person

MODEL = "all-minilm-l6-v2"
_INVALID = ("INVALID_ARGUMENT", "INVALID_REQUEST")
_BAD = [
    ({"texts": []}, *_INVALID),
    ({"texts": [""]}, *_INVALID),
    ({"texts": ["a"] * 513}, *_INVALID),
    ({"texts": ["a" * 100_001]}, *_INVALID),
    ({"texts": ["a"], "model": "gpt-17"}, "NOT_FOUND", "MODEL_NOT_FOUND"),
    ({"texts": ["a"], "precision": 99}, *_INVALID),
    ({"texts": ["a"], "precision": model_pb2.Model.PRECISION_FLOAT16}, "FAILED_PRECONDITION", "PRECISION_UNSUPPORTED"),
    ({"texts": ["a", "tide " * 300]}, "INVALID_ARGUMENT", "TEXT_TOO_LONG"),
]


def _signed(person: Person) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {person.token}"),)


@pytest.mark.abuse(15, 16)
@pytest.mark.parametrize(("fields", "code", "reason"), _BAD)
async def test_what_cannot_be_embedded_is_refused_alike_on_both_faces(
    ada: Person, peer: Callable[[str], grpc.aio.Channel], fields: dict[str, Any], code: str, reason: str
) -> None:
    """Users and peers get the same code and reason."""
    for call in (
        EmbeddingServiceStub(ada.client.session.channel).Embed(public.EmbedRequest(**fields), metadata=_signed(ada)),
        EmbeddingInternalServiceStub(peer("embedding")).EmbedBatch(internal.EmbedBatchRequest(**fields)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert (caught.value.code().name, reason_of(caught.value)) == (code, reason)


async def test_limits_themselves_are_allowed(ada: Person) -> None:
    """512 texts, and one text of 100,000 characters, cut on request."""
    assert len((await ada.client.embedding.embed(["tide"] * 512)).embeddings) == 512
    [cut] = (await ada.client.embedding.embed(["tide " * 20_000], truncate=True)).embeddings
    assert (cut.token_count, cut.is_truncated, len(cut.values)) == (256, True, 384)
    assert await ada.client.embedding.count_tokens(["tide", "", "tide tide"][::2]) == [3, 4]


async def test_peers_and_users_get_the_same_vectors(ada: Person, peer: Callable[[str], grpc.aio.Channel]) -> None:
    """In either lane, as bytes or as numbers, under the digest that the model is listed with."""
    stub = EmbeddingInternalServiceStub(peer("embedding"))
    model = await _default(ada)
    seen = await ada.client.embedding.embed(["the moon pulls the sea"])
    assert (seen.model, seen.digest, seen.precision) == (MODEL, model.digest, model_pb2.Model.PRECISION_INT8)
    for lane in (internal.LANE_INTERACTIVE, internal.LANE_BULK):
        request = internal.EmbedBatchRequest(texts=["the moon pulls the sea"], digest=model.digest, lane=lane)
        answer = await stub.EmbedBatch(request)
        assert np.array_equal(np.frombuffer(answer.vectors, "<f4"), np.array(seen.embeddings[0].values, np.float32))
        assert (answer.dimension, list(answer.token_counts), answer.digest) == (384, [seen.embeddings[0].token_count], model.digest)


async def _default(ada: Person) -> model_pb2.Model:
    answer = await ModelServiceStub(ada.client.session.channel).ListModels(models.ListModelsRequest(), metadata=_signed(ada))
    return next(model for model in answer.models if model.is_default)


async def test_a_model_says_what_it_is(ada: Person, peer: Callable[[str], grpc.aio.Channel]) -> None:
    """Listed, asked for by name and described to peers, it is the same."""
    model = await _default(ada)
    stub = ModelServiceStub(ada.client.session.channel)
    assert (await stub.GetModel(models.GetModelRequest(model_id=MODEL), metadata=_signed(ada))).model == model
    described = await EmbeddingInternalServiceStub(peer("embedding")).DescribeModel(internal.DescribeModelRequest())
    assert described.model == model
    assert (model.id, model.dimension, model.max_length, model.is_default, model.license) == (MODEL, 384, 256, True, "Apache-2.0")
    assert (model.pooling, model.state) == (model_pb2.Model.POOLING_MEAN, model_pb2.Model.STATE_LOADED)
    assert list(model.precisions) == [model_pb2.Model.PRECISION_INT8, model_pb2.Model.PRECISION_FLOAT32]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetModel(models.GetModelRequest(model_id="gpt-17"), metadata=_signed(ada))
    assert (caught.value.code().name, reason_of(caught.value)) == ("NOT_FOUND", "MODEL_NOT_FOUND")


async def test_another_digest_is_another_model(ada: Person, peer: Callable[[str], grpc.aio.Channel]) -> None:
    """Vectors of two models never mix, and a tokenizer is had only by the right digest."""
    stub = EmbeddingInternalServiceStub(peer("embedding"))
    model = await _default(ada)
    for call, code, reason in (
        (stub.EmbedBatch(internal.EmbedBatchRequest(texts=["a"], digest="0" * 64)), "FAILED_PRECONDITION", "MODEL_MISMATCH"),
        (stub.GetTokenizer(internal.GetTokenizerRequest(digest="0" * 64)), "NOT_FOUND", "MODEL_NOT_FOUND"),
        (stub.GetTokenizer(internal.GetTokenizerRequest()), *_INVALID),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert (caught.value.code().name, reason_of(caught.value)) == (code, reason)
    answer = await stub.GetTokenizer(internal.GetTokenizerRequest(digest=model.digest))
    assert (answer.max_length, answer.special_token_count) == (256, 2)
    assert answer.tokenizer_json.lstrip().startswith(b"{")
