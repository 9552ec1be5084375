"""Models as the command shows and administers them."""

import json
import shutil
from pathlib import Path

import pytest

from deploy.local.supervisor import Mesh
from semantik.client import SemantikError
from tests.conftest import Person
from tests.e2e.conftest import Command

DEFAULT = "all-minilm-l6-v2"


@pytest.fixture
def twin(mesh: Mesh, tmp_path: Path) -> str:
    """A model beside the default one: the same weights with other prefixes."""
    wheel = pytest.importorskip("semantik_minilm")
    directory = mesh.home.models / tmp_path.name.replace("_", "-").lower()
    shutil.copytree(Path(wheel.__path__[0]) / "model", directory)
    (directory / "semantik.json").write_text(json.dumps({"passage_prefix": f"{directory.name}: "}))
    return directory.name


async def test_models_are_shown(semantik: Command, ada: Person) -> None:
    """With what they take of the memory there is for them."""
    await semantik("login", ada.user.username)
    code, [found] = await semantik("models", "list")
    [default] = [model for model in found["models"] if model["isDefault"]]
    assert (code, default["id"], default["state"]) == (0, DEFAULT, "STATE_LOADED")
    assert 0 < int(default["sessions"][0]["memoryBytes"]) <= int(found["memoryBytes"]) <= int(found["memoryBudgetBytes"])
    code, [shown] = await semantik("models", "show", DEFAULT)
    assert (code, shown["digest"]) == (0, default["digest"])
    assert await semantik("models", "show", "nothing") == (4, [])


@pytest.mark.abuse(8)
async def test_only_an_administrator_loads_and_unloads(semantik: Command, ada: Person, twin: str) -> None:
    """Loading says where it went; what must stay stays."""
    await semantik("login", ada.user.username)
    for action in ("load", "unload"):
        assert await semantik("models", action, twin) == (5, [])
    assert await semantik("models", "download", "somebody/something") == (5, [])
    await semantik("login", "administrator")
    code, [loaded] = await semantik("models", "load", twin, "--precision", "float32")
    assert (code, loaded["state"]) == (0, "STATE_LOADED")
    assert [each["precision"] for each in loaded["sessions"]] == ["PRECISION_FLOAT32"]
    code, [unloaded] = await semantik("models", "unload", twin)
    assert (code, unloaded["state"], unloaded["sessions"]) == (0, "STATE_ON_DISK", [])
    assert await semantik("models", "unload", DEFAULT) == (1, [])


async def test_what_is_here_is_not_downloaded_again(semantik: Command) -> None:
    """From the same place it succeeds at once; from another it would be another model."""
    await semantik("login", "administrator")
    code, [told] = await semantik("models", "download", "sentence-transformers/all-MiniLM-L6-v2")
    assert (code, told["download"]["state"], told["model"]["id"]) == (0, "STATE_SUCCEEDED", DEFAULT)
    assert await semantik("models", "download", "somebody/something", "--name", DEFAULT) == (1, [])


async def test_an_embedding_model_scores_nothing(ada: Person) -> None:
    """That takes a cross-encoder."""
    with pytest.raises(SemantikError) as refused:
        await ada.client.embedding.rerank("a query", ["a text"], model=DEFAULT)
    assert refused.value.reason == "MODEL_KIND_WRONG"
