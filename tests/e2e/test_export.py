"""Models of other architectures become ONNX outside, and are then served like any other."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from deploy.local.supervisor import Mesh
from semantik.embedding.v1.model_pb2 import Model
from tests.conftest import Person
from tests.e2e.conftest import Command

OPTIMUM = shutil.which(os.environ.get("SEMANTIK_OPTIMUM_CLI", "optimum-cli"))
TEXTS = ["heat transfer on a flat plate", "what a wing carries", "größer"]


@pytest.fixture
def model() -> Path:
    """The default model's directory."""
    wheel = pytest.importorskip("semantik_minilm")
    return Path(wheel.__path__[0]) / "model"


@pytest.mark.skipif(OPTIMUM is None, reason="optimum-cli is not installed: name it with SEMANTIK_OPTIMUM_CLI")
async def test_an_exported_model_gives_the_same_vectors(
    semantik: Command, mesh: Mesh, ada: Person, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the graph that is built here from the same weights."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert OPTIMUM is not None
    code, [made] = await semantik("models", "export", model, mesh.home.models / "exported", "--optimum-cli", OPTIMUM)
    assert (code, made["directory"]) == (0, str(mesh.home.models / "exported"))
    exact = Model.PRECISION_FLOAT32
    ours, theirs = [await ada.client.embedding.embed(TEXTS, model=name, precision=exact) for name in ("", "exported")]
    assert ours.digest != theirs.digest
    for one, other in zip(ours.embeddings, theirs.embeddings, strict=True):
        assert np.dot(one.values, other.values) > 0.99999


async def test_without_the_program_nothing_is_exported(semantik: Command, model: Path, tmp_path: Path) -> None:
    """Nor over something that is there, nor from something that is no model."""
    assert await semantik("models", "export", model, tmp_path / "made", "--optimum-cli", "nothing") == (1, [])
    (tmp_path / "empty").mkdir()
    assert await semantik("models", "export", model, tmp_path / "empty", "--optimum-cli", "true") == (1, [])
    assert await semantik("models", "export", tmp_path / "empty", tmp_path / "made", "--optimum-cli", "true") == (1, [])
    assert await semantik("models", "export", model, tmp_path / "made", "--optimum-cli", "true") == (1, [])
    assert not (tmp_path / "made").exists()
