"""Which models are installed, and what finding one costs."""

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog import catalog as module
from services.embedding.catalog.catalog import Catalog
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles, read
from tests.golden.embedding.families import FAMILIES, save
from tests.service.embedding import tiny

_FAMILIES = {family.id: family for family in FAMILIES}


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    for name in ("bge", "e5", "gte", "reranker"):
        directory = save(_FAMILIES[name], tmp_path / name)
        (directory / "tokenizer.json").write_bytes(tiny.files()["tokenizer.json"])
    return tmp_path


@pytest.fixture
def catalog(model_dir: Path) -> Catalog:
    return Catalog(model_dir, "bge")


async def test_models_are_found_when_they_come(model_dir: Path, catalog: Catalog) -> None:
    """Another replica may have put one there; names that are none are passed over."""
    with pytest.raises(Failure, match="the model later is not installed"):
        catalog.get("later")
    (model_dir / "e5").rename(model_dir / "later")
    (model_dir / "gte").rename(model_dir / "Not An Id")
    assert catalog.embedder("later").id == "later"
    await catalog.refresh()
    assert sorted(catalog.models) == ["all-minilm-l6-v2", "bge", "later", "reranker"]
    assert (await catalog.reranker("")).id == "reranker"
    with pytest.raises(Failure, match="is a cross-encoder") as caught:
        catalog.embedder("reranker")
    assert caught.value.reason == ErrorReason.ERROR_REASON_MODEL_KIND_WRONG
    (model_dir / "reranker").rename(model_dir / ".away")
    await catalog.refresh()
    with pytest.raises(Failure, match="no cross-encoder is installed") as caught:
        await catalog.reranker("")
    assert (caught.value.code, caught.value.reason) == (StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_RERANKER_MISSING)


@pytest.mark.parametrize("name", ["unknown", "../bge", ".graphs", "a/b", "bge/../bge", "Bge"])
async def test_an_unknown_name_walks_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Any user may ask for any name, so it costs one look at one place below MODEL_DIR."""

    def refuse(*_: object) -> None:
        raise AssertionError("MODEL_DIR was walked")

    monkeypatch.setattr(module, "_installed", refuse)
    monkeypatch.setattr(Path, "glob", refuse)
    monkeypatch.setattr(Path, "rglob", refuse)
    with pytest.raises(Failure, match="is not installed"):
        catalog.get(name)


async def test_looking_for_a_cross_encoder_reads_no_other_model(catalog: Catalog) -> None:
    """The kind is asked before gigabytes are read."""
    assert (await catalog.reranker("")).id == "reranker"
    assert [files.id for files in catalog.models.values() if files.is_hashed] == ["reranker"]


async def test_reading_a_model_stops_neither_the_loop_nor_other_models(model_dir: Path, catalog: Catalog) -> None:
    """A file that does not come to its end delays only the callers that need that model."""
    known = await catalog.digest(catalog.get("e5"))
    tokenizer = model_dir / "reranker" / "tokenizer.json"
    content = tokenizer.read_bytes()
    tokenizer.unlink()
    os.mkfifo(tokenizer)
    waiting = [asyncio.create_task(catalog.reranker("")) for _ in range(10)]
    descriptor = await asyncio.to_thread(os.open, tokenizer, os.O_WRONLY)  # opens once it is being read
    async with asyncio.timeout(10):
        assert await catalog.digest(catalog.get("e5")) == known
        assert (await catalog.by_digest(known)).id == "e5"
        await catalog.refresh()
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
    assert not any(task.done() for task in waiting[1:])
    with os.fdopen(descriptor, "wb") as fifo:
        fifo.write(content)
    assert {(await task).id for task in waiting[1:]} == {"reranker"}


async def test_callers_during_a_walk_share_the_next(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred requests are two walks, and what came after the first began is seen by the second."""
    walks: list[int] = []
    begun, may_end, installed = threading.Event(), threading.Event(), module._installed

    def walk(model_dir: Path) -> Iterator[ModelFiles]:
        walks.append(1)
        begun.set()
        may_end.wait()
        return installed(model_dir)

    monkeypatch.setattr(module, "_installed", walk)
    first = asyncio.create_task(catalog.refresh())
    await asyncio.to_thread(begun.wait)
    later = [asyncio.create_task(catalog.refresh()) for _ in range(100)]
    await asyncio.sleep(0)
    may_end.set()
    await asyncio.gather(first, *later)
    assert len(walks) == 2


async def test_damage_is_found_once(model_dir: Path, catalog: Catalog) -> None:
    """Until the files change: a model of gigabytes is not read again for each request."""
    damaged = ModelFiles("bge", model_dir / "bge", pins={"config.json": "0" * 64})
    for _ in range(2):
        with pytest.raises(ModelDamagedError, match=r"^bge: config\.json is truncated or altered$") as caught:
            await catalog.digest(damaged)
        (model_dir / "bge" / "config.json").unlink(missing_ok=True)
    assert caught.value.model == "bge"


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("config.json", "[]", "config.json is not that of a text encoder"),
        ("config.json", "{", "config.json is not JSON"),
        ("config.json", '{"model_type": "bert"}', "only absolute positions and gelu"),
        ("config.json", '{"model_type": "mpnet"}', "its configuration is not that of a text encoder ('dim')"),
        ("modules.json", "{}", "modules.json is not that of a text encoder"),
        ("semantik.json", "{", "semantik.json is not JSON"),
        ("semantik.json", '{"files": 7}', "semantik.json is truncated or altered"),
    ],
)
async def test_a_broken_configuration_is_damage(model_dir: Path, catalog: Catalog, name: str, content: str, fault: str) -> None:
    """It is said of that model; the others are listed as before."""
    (model_dir / "bge" / name).write_text(content)
    await catalog.refresh()
    assert sorted(catalog.models) == ["all-minilm-l6-v2", "bge", "e5", "gte", "reranker"]
    with pytest.raises(ModelDamagedError) as caught:
        await catalog.digest(catalog.get("bge"))
    assert fault in str(caught.value)
    assert [files.id async for files in catalog.usable("RERANKER")] == ["reranker"]


async def test_a_model_that_is_removed_meanwhile_is_passed_over(model_dir: Path, catalog: Catalog) -> None:
    """The walk goes on."""
    shutil.rmtree(model_dir / "gte")
    await catalog.refresh()
    assert sorted(catalog.models) == ["all-minilm-l6-v2", "bge", "e5", "reranker"]
    assert read(model_dir / "e5").id == "e5"
