"""Models that come and go, scores of a cross-encoder, and what one user may ask for at once."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from libs.rpc.errors import reason_of
from semantik.embedding.v1 import embedding_internal_service_pb2 as internal
from semantik.embedding.v1 import embedding_service_pb2 as messages
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1 import model_service_pb2 as models
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.embedding.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from tests.conftest import Person
from tests.golden.embedding.families import FAMILIES, save
from tests.service.embedding import tiny
from tests.service.embedding.conftest import Own, Start

_FAMILIES = {family.id: family for family in FAMILIES}
_MODEL = "all-minilm-l6-v2"
# Asking without a pause takes the processor from the work that is waited for.
_PAUSE = 0.1
_INT8, _FLOAT32 = model_pb2.Model.PRECISION_INT8, model_pb2.Model.PRECISION_FLOAT32


def _install(model_dir: Path, family: str, name: str = "") -> Path:
    directory = save(_FAMILIES[family], model_dir / (name or family))
    (directory / "tokenizer.json").write_bytes(tiny.files()["tokenizer.json"])
    return directory


@contextlib.asynccontextmanager
async def _refused(code: str, reason: str) -> AsyncIterator[Any]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield caught
    assert (caught.value.code().name, reason_of(caught.value)) == (code, reason)


async def _model(own: Own, name: str) -> model_pb2.Model:
    answer: models.GetModelResponse = await own.models.GetModel(models.GetModelRequest(model_id=name), metadata=own.metadata)
    return answer.model


async def _embed(own: Own, **fields: Any) -> messages.EmbedResponse:
    answer: messages.EmbedResponse = await own.embedding.Embed(messages.EmbedRequest(**fields), metadata=own.metadata, timeout=60)
    return answer


async def test_a_model_is_loaded_used_and_unloaded(own: Own, ada: Person) -> None:
    """By administrators; one sees what it takes, and its use in either precision."""
    _install(own.model_dir, "bge", "comes-and-goes")
    assert (await _model(own, "comes-and-goes")).state == model_pb2.Model.STATE_ON_DISK
    load = models.LoadModelRequest(model_id="comes-and-goes", precision=_FLOAT32)
    async with _refused("PERMISSION_DENIED", "ROLE_REQUIRED"):
        await own.models.LoadModel(load, metadata=(("authorization", f"Bearer {ada.token}"),))
    loaded = (await own.models.LoadModel(load, metadata=own.metadata)).model
    assert (loaded.state, loaded.kind, loaded.pooling) == (
        model_pb2.Model.STATE_LOADED,
        model_pb2.Model.KIND_EMBEDDING,
        model_pb2.Model.POOLING_CLS,
    )
    [session] = loaded.sessions
    assert (session.precision, session.provider, session.token_count) == (_FLOAT32, "CPUExecutionProvider", 0)
    assert session.memory_bytes > 0
    assert session.load_duration.ToTimedelta().total_seconds() > 0
    await _embed(own, texts=["moon", "moon"], model="comes-and-goes")
    await _embed(own, texts=["the tide"], model="comes-and-goes", precision=_FLOAT32)
    used = (await own.models.LoadModel(load, metadata=own.metadata)).model
    assert {session.precision: session.token_count for session in used.sessions} == {_INT8: 3, _FLOAT32: 4}
    listed = await own.models.ListModels(models.ListModelsRequest(), metadata=own.metadata)
    assert listed.memory_bytes == sum(session.memory_bytes for model in listed.models for session in model.sessions) > 0
    assert listed.memory_budget_bytes == 2048 << 20
    unloaded = await own.models.UnloadModel(models.UnloadModelRequest(model_id="comes-and-goes"), metadata=own.metadata)
    assert (unloaded.model.state, len(unloaded.model.sessions)) == (model_pb2.Model.STATE_ON_DISK, 0)
    assert len((await _embed(own, texts=["moon"], model="comes-and-goes")).embeddings[0].values) == 32


async def test_the_default_model_stays(own: Own) -> None:
    """Without it the service is not ready."""
    async with _refused("FAILED_PRECONDITION", "MODEL_REQUIRED"):
        await own.models.UnloadModel(models.UnloadModelRequest(model_id=_MODEL), metadata=own.metadata)
    async with _refused("NOT_FOUND", "MODEL_NOT_FOUND"):
        await own.models.LoadModel(models.LoadModelRequest(model_id="gpt-17"), metadata=own.metadata)
    async with _refused("FAILED_PRECONDITION", "PRECISION_UNSUPPORTED"):
        precision = model_pb2.Model.PRECISION_FLOAT16
        await own.models.LoadModel(models.LoadModelRequest(model_id=_MODEL, precision=precision), metadata=own.metadata)


async def test_a_model_that_was_altered_is_not_loaded_until_it_is_whole(own: Own) -> None:
    """It says which file it is; the other models go on."""
    directory = _install(own.model_dir, "e5", "spoilt")
    weights = directory / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    async with _refused("UNAVAILABLE", "MODEL_DAMAGED") as caught:
        await own.models.LoadModel(models.LoadModelRequest(model_id="spoilt"), metadata=own.metadata)
    assert "spoilt: its graph cannot be built" in caught.value.details()
    failed = await _model(own, "spoilt")
    assert (failed.state, failed.state_reason) == (model_pb2.Model.STATE_FAILED, caught.value.details())
    await _embed(own, texts=["moon"])
    weights.write_bytes(whole)
    assert (await own.models.LoadModel(models.LoadModelRequest(model_id="spoilt"), metadata=own.metadata)).model.sessions


async def test_health_names_the_provider_in_use(start: Start) -> None:
    """A caller that needs a card asks health for it, and is told where the processor computes instead."""
    own = await start(PROVIDERS="CUDAExecutionProvider, CPUExecutionProvider")
    health = HealthStub(own.channel)
    await _serving(health)
    answer = await health.Check(HealthCheckRequest(service="CPUExecutionProvider"))
    assert answer.status == HealthCheckResponse.SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(HealthCheckRequest(service="CUDAExecutionProvider"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert (await _model(own, _MODEL)).sessions[0].provider == "CPUExecutionProvider"


async def test_while_the_default_model_is_damaged_the_service_is_not_serving(start: Start, tmp_path: Path) -> None:
    """The reason is in the log and in the model's state; once the file is whole, it serves."""
    directory = _install(tmp_path, "minilm", "own-default")
    tokenizer = directory / "tokenizer.json"
    (directory / "semantik.json").write_text(json.dumps({"files": {"tokenizer.json": "0" * 64}}))
    own = await start(DEFAULT_MODEL="own-default")
    await own.doomed.says("the default model cannot be loaded: own-default: tokenizer.json is truncated or altered")
    health = HealthStub(own.channel)
    assert (await health.Check(HealthCheckRequest())).status == HealthCheckResponse.NOT_SERVING
    failed = await _model(own, "own-default")
    assert (failed.state, failed.state_reason, failed.is_default) == (
        model_pb2.Model.STATE_FAILED,
        "own-default: tokenizer.json is truncated or altered",
        True,
    )
    assert tokenizer.exists()
    (directory / "semantik.json").unlink()
    await _serving(health)
    # Other files are another model: noticed when models are listed, and loaded without a request for it.
    digest = (await _model(own, "own-default")).digest
    (directory / "semantik.json").write_text('{"query_prefix": "find: "}')
    await own.models.ListModels(models.ListModelsRequest(), metadata=own.metadata)
    async with asyncio.timeout(20):
        while not (changed := await _model(own, "own-default")).sessions:  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(_PAUSE)
    assert changed.digest != digest
    await _serving(health)


async def _serving(health: Any) -> None:
    async with asyncio.timeout(20):
        async for answer in health.Watch(HealthCheckRequest()):
            if answer.status == HealthCheckResponse.SERVING:
                break


async def test_a_cross_encoder_scores_texts(own: Own) -> None:
    """The best first, with the places they had; the mesh gets the same scores in the texts' order."""
    _install(own.model_dir, "reranker", "scorer")
    texts = ["moon", "the tides of the sea", "sea", "the the the"]
    request = messages.RerankRequest(query="tide", texts=texts, model="scorer")
    answer = await own.embedding.Rerank(request, metadata=own.metadata)
    assert (answer.model, answer.precision) == ("scorer", _INT8)
    scores = {result.index: result.score for result in answer.results}
    assert sorted(scores) == [0, 1, 2, 3]
    assert [result.score for result in answer.results] == sorted(scores.values(), reverse=True)
    assert all(0 < score < 1 for score in scores.values())
    best = await own.embedding.Rerank(messages.RerankRequest(query="tide", texts=texts, limit=2), metadata=own.metadata)
    assert list(best.results) == list(answer.results)[:2]
    alone = await own.embedding.Rerank(messages.RerankRequest(query="tide", texts=texts[1:2]), metadata=own.metadata)
    assert alone.results[0].score == scores[1]
    long = messages.RerankRequest(query="tide", texts=["sea", "moon " * 60])
    async with _refused("INVALID_ARGUMENT", "TEXT_TOO_LONG"):
        await own.embedding.Rerank(long, metadata=own.metadata)
    long.truncate = True
    cut = await own.embedding.Rerank(long, metadata=own.metadata)
    assert {result.index: result.is_truncated for result in cut.results} == {0: False, 1: True}
    async with _refused("INVALID_ARGUMENT", "TEXT_TOO_LONG"):
        await own.embedding.Rerank(messages.RerankRequest(query="tide " * 60, texts=["sea"], truncate=True), metadata=own.metadata)
    async with _refused("FAILED_PRECONDITION", "MODEL_KIND_WRONG"):
        await _embed(own, texts=["moon"], model="scorer")
    async with _refused("FAILED_PRECONDITION", "MODEL_KIND_WRONG"):
        await own.embedding.Rerank(messages.RerankRequest(query="tide", texts=texts, model=_MODEL), metadata=own.metadata)
    stub = EmbeddingInternalServiceStub(own.mesh_channel)
    batch = await stub.RerankBatch(internal.RerankBatchRequest(query="tide", texts=texts, model="scorer"))
    assert dict(enumerate(batch.scores)) == scores


async def test_without_a_cross_encoder_the_answer_says_how_to_get_one(ada: Person, http: httpx.AsyncClient) -> None:
    """The mesh of the tests has none."""
    response = await http.post("/v1/rerank", json={"query": "tide", "texts": ["sea"]}, headers=ada.headers)
    assert (response.status_code, response.json()["details"][0]["reason"]) == (400, "RERANKER_MISSING")
    assert "semantik models download" in response.json()["message"]


@pytest.mark.abuse(32, 38)
async def test_one_user_cannot_fill_the_queue(start: Start, ada: Person) -> None:
    """A large request of one user keeps their next ones waiting and nobody else's; once it has gone, they have their turn."""
    own = await start(BULK_THREADS="1")
    await own.doomed.says("loaded all-minilm-l6-v2")
    first = asyncio.ensure_future(_embed(own, texts=[f"{number} " + "tide " * 300 for number in range(400)], truncate=True))
    more: dict[str, Any] = {"texts": [f"{number} " + "moon " * 200 for number in range(10)]}
    await _computing(own)
    second = asyncio.ensure_future(_embed(own, texts=[f"{number} " + "sand " * 200 for number in range(100)], truncate=True))
    answer = await own.embedding.Embed(messages.EmbedRequest(**more), metadata=_bearer(ada))
    assert len(answer.embeddings) == 10
    assert not first.done()
    assert not second.done(), "it was computed before what its user had asked for earlier"
    first.cancel()
    await asyncio.wait([first])
    assert len((await second).embeddings) == 100


@pytest.mark.abuse(32, 38)
async def test_what_waits_to_be_tokenised_counts_as_waiting(start: Start, ada: Person) -> None:
    """Of the large requests of two users the second is refused before anything of the first has been computed."""
    own = await start(BULK_QUEUE_TOKENS="2000")
    await own.doomed.says("loaded all-minilm-l6-v2")
    texts = [f"{number} " + "tide " * 3000 for number in range(500)]
    foreign = own.embedding.Embed(messages.EmbedRequest(texts=texts, truncate=True), metadata=_bearer(ada))
    both = [asyncio.ensure_future(each) for each in (_embed(own, texts=texts, truncate=True), foreign)]
    done, [first] = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    async with _refused("RESOURCE_EXHAUSTED", "OVERLOADED") as caught:
        await done.pop()
    assert float(dict(caught.value.trailing_metadata())["retry-after"]) >= 1
    assert (await _model(own, _MODEL)).sessions[0].token_count == 0
    first.cancel()
    await asyncio.wait([first])


def _bearer(person: Person) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {person.token}"),)


async def _computing(own: Own) -> None:
    """Wait until the first texts have been computed."""
    async with asyncio.timeout(60):
        while not (await _model(own, _MODEL)).sessions[0].token_count:  # noqa: ASYNC110 - it changes in another process
            await asyncio.sleep(_PAUSE)


@pytest.mark.abuse(30)
async def test_a_deadline_that_has_passed_is_said_at_once(ada: Person) -> None:
    """What it asked for is not computed."""
    request = messages.EmbedRequest(texts=[f"{number} " + "tide " * 200 for number in range(500)])
    stub = EmbeddingServiceStub(ada.client.session.channel)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Embed(request, metadata=(("authorization", f"Bearer {ada.token}"),), timeout=0.001)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
