"""Which models are in memory, and which one leaves for another."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog.catalog import Catalog
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles
from services.embedding.inference.loaded import Loaded
from services.embedding.inference.session import CPU, Session, usable
from services.embedding.inference.sessions import Sessions
from tests.golden.embedding.families import FAMILIES, save
from tests.service.embedding import tiny

_FAMILIES = {family.id: family for family in FAMILIES}
_MEMORY = 1000  # what each takes in the budget of these tests


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    for name in ("bge", "e5", "gte", "reranker"):
        directory = save(_FAMILIES[name], tmp_path / name)
        (directory / "tokenizer.json").write_bytes(tiny.files()["tokenizer.json"])
    return tmp_path


@pytest.fixture
def catalog(model_dir: Path) -> Catalog:
    return Catalog(model_dir, "bge")


@pytest.fixture
def sessions(model_dir: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Room for two models and a half; bge always stays."""
    sessions = Sessions(model_dir, catalog.digest, [CPU], _MEMORY * 5 // 2, lambda files, _: files.id == "bge")
    monkeypatch.setattr(sessions, "_open_graph", lambda graph, files: (Session(graph.path, files.dimension, [CPU]), _MEMORY))
    monkeypatch.setattr(sessions, "_needed", lambda _: _MEMORY)
    return sessions


def _open(sessions: Sessions) -> set[str]:
    return {loaded.files.id for loaded in sessions._open.values()}


async def test_the_least_recently_used_leaves(catalog: Catalog, sessions: Sessions) -> None:
    """Never the one that must stay, and what is used again stays."""
    for name in ("bge", "e5"):
        await sessions.get(catalog.get(name), "FLOAT32")
    assert _open(sessions) == {"bge", "e5"}
    await sessions.get(catalog.get("gte"), "FLOAT32")
    assert _open(sessions) == {"bge", "gte"}
    (await sessions.get(catalog.get("gte"), "FLOAT32")).used(7)
    await sessions.get(catalog.get("e5"), "FLOAT32")
    assert _open(sessions) == {"bge", "e5"}
    assert sessions.memory_bytes == 2 * _MEMORY
    sessions.unload(catalog.get("e5"))
    assert (_open(sessions), sessions.memory_bytes) == ({"bge"}, _MEMORY)


async def test_use_counts_and_not_loading(catalog: Catalog, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one used last stays."""
    clock = itertools.count(100)
    monkeypatch.setattr(time, "time", lambda: next(clock))
    first, second = catalog.get("e5"), catalog.get("gte")
    await sessions.get(first, "FLOAT32")
    await sessions.get(second, "FLOAT32")
    (await sessions.get(first, "FLOAT32")).used(1)
    await sessions.get(catalog.get("reranker"), "FLOAT32")
    assert _open(sessions) == {"e5", "reranker"}


async def test_a_model_too_large_for_the_budget_says_so(model_dir: Path, catalog: Catalog) -> None:
    """With the numbers, and nothing is unloaded for nothing."""
    sessions = Sessions(model_dir, catalog.digest, [CPU], 1000, lambda _, __: True)
    with pytest.raises(Failure) as caught:
        await sessions.get(catalog.get("bge"), "FLOAT32")
    assert (caught.value.code, caught.value.reason) == (StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_MODEL_TOO_LARGE)
    assert caught.value.metadata == {"model": "bge", "budget_bytes": "1000"}


async def test_a_load_that_failed_is_not_repeated_at_once(model_dir: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless its files change: a damaged model costs one attempt in five seconds, however many ask for it."""
    sessions = Sessions(model_dir, catalog.digest, [CPU], 1 << 30, lambda _, __: False)
    attempts: list[str] = []
    load = sessions._load

    async def counted(files: ModelFiles, precision: str) -> Loaded:
        attempts.append(files.id)
        return await load(files, precision)

    monkeypatch.setattr(sessions, "_load", counted)
    weights = model_dir / "gte" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1000])
    await catalog.refresh()
    damaged = catalog.get("gte")
    for _ in range(3):
        with pytest.raises(ModelDamagedError, match=r"^gte: its graph cannot be built: "):
            await sessions.get(damaged, "FLOAT32")
    assert attempts == ["gte"]
    assert sessions.damage(damaged).startswith("gte: its graph cannot be built: ")
    failed = sessions._failed["gte", "FLOAT32"]
    assert time.monotonic() < failed.retry_time <= time.monotonic() + 5
    sessions._failed["gte", "FLOAT32"] = replace(failed, retry_time=time.monotonic())
    with pytest.raises(ModelDamagedError):
        await sessions.get(damaged, "FLOAT32")
    assert attempts == ["gte"] * 2
    weights.write_bytes(whole)
    await catalog.refresh()
    assert (await sessions.get(catalog.get("gte"), "FLOAT32")).files is catalog.get("gte")
    assert sessions.damage(catalog.get("gte")) == ""


def test_only_providers_that_work_are_used() -> None:
    """CUDA is passed over where there is no card, whether or not the runtime lists it."""
    assert usable(["CUDAExecutionProvider", CPU]) == [CPU]
    with pytest.raises(SystemExit, match="none of the providers NoSuchProvider is here"):
        usable(["NoSuchProvider"])


_Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "is_same"),
    [
        (lambda _: None, True),
        (lambda directory: (directory / "semantik.json").write_text('{"query_prefix": "q: "}'), False),
        (lambda directory: (directory / "config.json").write_text(json.dumps(_FAMILIES["bge"].config | {"layer_norm_eps": 1e-6})), False),
        (lambda directory: (directory / "tokenizer.json").write_text("{}"), False),
        (lambda directory: (directory / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}'), False),
        (lambda directory: (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 20}'), False),
        (lambda directory: (directory / "model.safetensors").write_bytes(b"other"), False),
        (lambda directory: (directory / "README.md").write_text("new"), True),
    ],
)
async def test_the_digest_names_what_computes_the_vectors(model_dir: Path, catalog: Catalog, change: _Change, is_same: bool) -> None:
    """Weights, tokenizer, pooling, prefixes and length; what is looked at again is found to be another model."""
    before = await catalog.digest(catalog.get("bge"))
    change(model_dir / "bge")
    await catalog.refresh()
    assert (await catalog.digest(catalog.get("bge")) == before) is is_same
