"""A load delays only the callers of its model; what cannot be computed is never sent."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_status import rpc_status
from safetensors.numpy import load_file, save_file

from libs.rpc.errors import reason_of
from semantik.embedding.v1 import embedding_internal_service_pb2 as internal
from semantik.embedding.v1 import embedding_service_pb2 as messages
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1 import model_service_pb2 as models
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from tests.golden.embedding.families import FAMILIES, save
from tests.service.embedding import tiny
from tests.service.embedding.conftest import Own, Start

_FAMILIES = {family.id: family for family in FAMILIES}
_MODEL = "all-minilm-l6-v2"
_INT8, _FLOAT32 = model_pb2.Model.PRECISION_INT8, model_pb2.Model.PRECISION_FLOAT32
_CALLERS = 40  # more than there are threads for blocking work in a process


class _Held:
    """A model whose tokenizer is a pipe: its reader, in whichever process, waits until the test lets it go on."""

    def __init__(self, model_dir: Path, name: str) -> None:
        directory = save(_FAMILIES["bge"], model_dir / name)
        self._path = directory / "tokenizer.json"
        self._writing = -1
        os.mkfifo(self._path)

    async def reached(self) -> None:
        """Wait until a reader opens it."""
        self._writing = await asyncio.to_thread(os.open, self._path, os.O_WRONLY)

    async def let_go(self) -> None:
        """Let the reader have the whole content; the next one opens another pipe, and so is another one."""
        following = self._path.with_name("following")
        os.mkfifo(following)
        following.replace(self._path)
        with os.fdopen(self._writing, "wb") as pipe:
            await asyncio.to_thread(pipe.write, tiny.files()["tokenizer.json"])


def _embed(own: Own, model: str, precision: Any) -> "asyncio.Task[messages.EmbedResponse]":
    request = messages.EmbedRequest(texts=["moon"], model=model, precision=precision)

    async def call() -> messages.EmbedResponse:
        answer: messages.EmbedResponse = await own.embedding.Embed(request, metadata=own.metadata, timeout=60)
        return answer

    return asyncio.create_task(call())


async def _others_work(own: Own) -> None:
    """Use the default model, and ask for one that is not there, as all other callers do."""
    stub = EmbeddingInternalServiceStub(own.mesh_channel)
    async with asyncio.timeout(10):
        default = (await stub.DescribeModel(internal.DescribeModelRequest())).model
        await stub.GetTokenizer(internal.GetTokenizerRequest(digest=default.digest))
        for lane in (internal.LANE_INTERACTIVE, internal.LANE_BULK):
            await stub.EmbedBatch(internal.EmbedBatchRequest(texts=["the tide"], lane=lane))
        await own.embedding.CountTokens(messages.CountTokensRequest(texts=["the tide"]), metadata=own.metadata)
        await own.models.GetModel(models.GetModelRequest(model_id=_MODEL), metadata=own.metadata)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await own.models.GetModel(models.GetModelRequest(model_id="unknown"), metadata=own.metadata)
        assert reason_of(caught.value) == "MODEL_NOT_FOUND"


async def _states(own: Own) -> dict[str, str]:
    async with asyncio.timeout(10):
        answer = await own.models.ListModels(models.ListModelsRequest(), metadata=own.metadata)
    return {model.id: model_pb2.Model.State.Name(model.state).removeprefix("STATE_") for model in answer.models}


async def _in_time(work: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(30):
        await work


async def test_the_first_use_of_a_model_delays_no_other_caller(start: Start) -> None:
    """While it is hashed and while it is read, everything else answers; its callers share one load, and each may leave."""
    own = await start(USER_CALLS="64")
    await own.doomed.says(f"loaded {_MODEL}")
    held = _Held(own.model_dir, "slow")
    callers = [_embed(own, "slow", _FLOAT32) for _ in range(20)]
    await _in_time(held.reached())  # its digest is being computed
    callers += [_embed(own, "slow", _FLOAT32) for _ in range(_CALLERS - 20 - 8)]
    await _others_work(own)
    await held.let_go()
    await _in_time(held.reached())  # its tokenizer is being loaded
    await _others_work(own)
    assert await _states(own) == {_MODEL: "LOADED", "slow": "LOADING"}
    for caller in callers[:10]:
        caller.cancel()
    await asyncio.wait(callers[:10], timeout=10)
    assert all(caller.done() for caller in callers[:10])
    await held.let_go()
    answers = await asyncio.gather(*callers[10:])
    assert {len(answer.embeddings[0].values) for answer in answers} == {32}
    assert sum("loaded slow in FLOAT32" in line for line in own.doomed.output) == 1
    assert await _states(own) == {_MODEL: "LOADED", "slow": "LOADED"}


async def test_a_bounded_number_of_callers_waits_for_a_load(start: Start) -> None:
    """The others are told when to come back, before their texts take memory for minutes."""
    own = await start(USER_CALLS="64")
    await own.doomed.says(f"loaded {_MODEL}")
    held = _Held(own.model_dir, "slow")
    callers = [_embed(own, "slow", _FLOAT32) for _ in range(33)]
    async with asyncio.timeout(10):
        done, waiting = await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await done.pop()
    assert (caught.value.code().name, reason_of(caught.value)) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    for _ in range(2):
        await _in_time(held.reached())
        await held.let_go()
    assert {len((await caller).embeddings[0].values) for caller in waiting} == {32}


async def test_a_stop_waits_for_no_load(start: Start) -> None:
    """It kills the process that builds, passes over a disk that does not answer, leaves nothing half done and tells the callers."""
    own = await start()
    await own.doomed.says(f"loaded {_MODEL}")
    held = _Held(own.model_dir, "slow")
    caller = _embed(own, "slow", _INT8)
    for _ in range(2):  # its digest, its tokenizer
        await _in_time(held.reached())
        await held.let_go()
    await _in_time(held.reached())  # the building process reads it too
    directory = save(_FAMILIES["e5"], own.model_dir / "other")
    (directory / "tokenizer.json").write_bytes(tiny.files()["tokenizer.json"])
    assert len((await _embed(own, "other", _FLOAT32)).embeddings) == 1
    await _others_work(own)
    stuck = _Held(own.model_dir, "stuck")
    other_caller = _embed(own, "stuck", _FLOAT32)
    await _in_time(stuck.reached())
    [child] = psutil.Process(own.doomed.process.pid).children()
    assert "services.embedding.graphs.build" in child.cmdline()
    own.doomed.process.terminate()
    for waiting in (caller, other_caller):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await waiting
        assert (caught.value.code().name, reason_of(caught.value)) == ("UNAVAILABLE", "DRAINING")
    async with asyncio.timeout(10):
        assert await own.doomed.process.wait() == 0
    assert (child.is_running(), own.installed()) == (False, ["other", "slow", "stuck"])


async def test_weights_that_are_not_numbers_never_serve(start: Start, tmp_path: Path) -> None:
    """One value in a model of millions: the service says so and is not ready, and no vector leaves it."""
    directory = save(_FAMILIES["minilm"], tmp_path / "own-default")
    (directory / "tokenizer.json").write_bytes(tiny.files()["tokenizer.json"])
    weights = load_file(directory / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][4, 0] = np.nan
    save_file(weights, directory / "model.safetensors")
    own = await start(DEFAULT_MODEL="own-default")
    await own.doomed.says("own-default: its graph cannot be built: own-default: the weights words hold NaN")
    answer = await HealthStub(own.channel).Check(HealthCheckRequest())
    assert answer.status == HealthCheckResponse.NOT_SERVING
    stub = EmbeddingInternalServiceStub(own.mesh_channel)
    for lane in (internal.LANE_INTERACTIVE, internal.LANE_BULK):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.EmbedBatch(internal.EmbedBatchRequest(texts=["sea"], lane=lane))
        assert (caught.value.code().name, reason_of(caught.value)) == ("UNAVAILABLE", "MODEL_DAMAGED")


async def test_the_mesh_is_told_when_to_come_back(start: Start) -> None:
    """Its own bulk work is bounded by the queue alone, and refused with RetryInfo; queries go on."""
    own = await start(BULK_QUEUE_TOKENS="2000", BULK_THREADS="1")
    await own.doomed.says(f"loaded {_MODEL}")
    stub = EmbeddingInternalServiceStub(own.mesh_channel)

    def batch(lane: Any) -> Any:
        return stub.EmbedBatch(internal.EmbedBatchRequest(texts=[f"{number} " + "tide " * 240 for number in range(400)], lane=lane))

    both = [asyncio.ensure_future(batch(internal.LANE_BULK)) for _ in range(2)]
    async with asyncio.timeout(20):
        done, [first] = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await done.pop()
    assert (caught.value.code().name, reason_of(caught.value)) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
    status = rpc_status.from_call(caught.value)
    retries = [retry for detail in status.details if detail.Unpack(retry := error_details_pb2.RetryInfo())]
    assert [0 < retry.retry_delay.ToTimedelta().total_seconds() <= 60 for retry in retries] == [True]
    await stub.EmbedBatch(internal.EmbedBatchRequest(texts=["the tide"], lane=internal.LANE_INTERACTIVE))
    assert not first.done()
    first.cancel()
    await asyncio.wait([first])
