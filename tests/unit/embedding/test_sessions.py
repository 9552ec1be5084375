"""Which models are in memory, and which one leaves for another."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog import Catalog
from services.embedding.models import ModelFiles
from services.embedding.session import CPU, usable
from services.embedding.sessions import Sessions
from tests.golden.embedding.families import FAMILIES, save

_FAMILIES = {family.id: family for family in FAMILIES}
_MEMORY = 1000  # what each takes in the budget of these tests


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    for name in ("bge", "e5", "gte", "reranker"):
        directory = save(_FAMILIES[name], tmp_path / name)
        (directory / "tokenizer.json").write_text("{}")
    return tmp_path


@pytest.fixture
def sessions(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Room for two models and a half; bge always stays."""
    made = Sessions(model_dir, [CPU], 0, lambda files, _: files.id == "bge")
    load = made._load

    def measured(files: ModelFiles, precision: str) -> object:
        made.budget_bytes = 1 << 40
        loaded = load(files, precision)
        loaded.memory_bytes, made.budget_bytes = _MEMORY, _MEMORY * 5 // 2
        return loaded

    def room(files: ModelFiles, precision: str) -> object:
        made.budget_bytes = _MEMORY * 5 // 2
        made._make_room(files, _MEMORY)
        return measured(files, precision)

    monkeypatch.setattr(made, "_load", room)
    return made


def _open(sessions: Sessions) -> set[str]:
    return {each.files.id for each in sessions._open.values()}


def test_what_was_used_longest_ago_leaves(model_dir: Path, sessions: Sessions) -> None:
    """Never the one that must stay, and what is used again stays."""
    catalog = Catalog(model_dir, "bge")
    for name in ("bge", "e5"):
        sessions.get(catalog.get(name), "FLOAT32")
    assert _open(sessions) == {"bge", "e5"}
    sessions.get(catalog.get("gte"), "FLOAT32")
    assert _open(sessions) == {"bge", "gte"}
    sessions.get(catalog.get("gte"), "FLOAT32").used(7)
    sessions.get(catalog.get("e5"), "FLOAT32")
    assert _open(sessions) == {"bge", "e5"}
    assert sessions.memory_bytes == 2 * _MEMORY
    sessions.unload(catalog.get("e5"))
    assert (_open(sessions), sessions.memory_bytes) == ({"bge"}, _MEMORY)


def test_the_one_used_last_stays(model_dir: Path, sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Using counts, not loading."""
    clock = iter(range(100, 200))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    catalog = Catalog(model_dir, "")
    first, second = catalog.get("e5"), catalog.get("gte")
    sessions.get(first, "FLOAT32")
    sessions.get(second, "FLOAT32")
    sessions.get(first, "FLOAT32").used(1)
    sessions.get(catalog.get("reranker"), "FLOAT32")
    assert _open(sessions) == {"e5", "reranker"}


def test_a_model_too_large_for_the_budget_says_so(model_dir: Path) -> None:
    """With the numbers, and nothing is unloaded for nothing."""
    catalog = Catalog(model_dir, "bge")
    sessions = Sessions(model_dir, [CPU], 1000, lambda _, __: True)
    with pytest.raises(Failure) as caught:
        sessions.get(catalog.get("bge"), "FLOAT32")
    assert (caught.value.code, caught.value.reason) == (StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_MODEL_TOO_LARGE)
    assert caught.value.metadata == {"model": "bge", "budget_bytes": "1000"}


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
        (lambda directory: (directory / "tokenizer.json").write_text("{ }"), False),
        (lambda directory: (directory / "1_Pooling/config.json").write_text('{"pooling_mode_mean_tokens": true}'), False),
        (lambda directory: (directory / "sentence_bert_config.json").write_text('{"max_seq_length": 20}'), False),
        (lambda directory: (directory / "model.safetensors").write_bytes(b"other"), False),
        (lambda directory: (directory / "README.md").write_text("new"), True),
    ],
)
def test_the_digest_names_what_computes_the_vectors(model_dir: Path, change: _Change, is_same: bool) -> None:
    """Weights, tokenizer, pooling, prefixes and length; what is looked at again is found to be another model."""
    catalog = Catalog(model_dir, "bge")
    before = catalog.get("bge").digest
    change(model_dir / "bge")
    catalog.refresh()
    assert (catalog.get("bge").digest == before) is is_same


def test_models_are_found_when_they_come(model_dir: Path) -> None:
    """Another replica may have put one there; names that are none are passed over."""
    catalog = Catalog(model_dir, "bge")
    with pytest.raises(Failure, match="the model later is not installed"):
        catalog.get("later")
    (model_dir / "e5").rename(model_dir / "later")
    (model_dir / "gte").rename(model_dir / "Not An Id")
    assert catalog.embedder("later").id == "later"
    assert sorted(catalog.models) == ["all-minilm-l6-v2", "bge", "later", "reranker"]
    assert catalog.reranker("").id == "reranker"
    with pytest.raises(Failure, match="is a cross-encoder") as caught:
        catalog.embedder("reranker")
    assert caught.value.reason == ErrorReason.ERROR_REASON_MODEL_KIND_WRONG
    (model_dir / "reranker").rename(model_dir / ".away")
    catalog.refresh()
    with pytest.raises(Failure, match="no cross-encoder is installed") as caught:
        catalog.reranker("")
    assert (caught.value.code, caught.value.reason) == (StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_RERANKER_MISSING)
