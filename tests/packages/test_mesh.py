"""`semantik[local]` in an empty environment: the mesh that runs without a checkout."""

import json
import sys
from pathlib import Path

import pytest

from tests.packages import distributions
from tests.packages.distributions import ROOT
from tests.packages.environment import Environment

_FOLDERS = ("services", "libs", ":!libs/sdk", ":!libs/sdk-ts", "deploy", "gateway", ":!gateway/web")
# By `make web` and `make setup`.
_MADE = ("gateway/web/dist/", "gateway/openapi/docs/swagger-ui")


def test_the_wheel_holds_all_that_the_mesh_needs(built: Path) -> None:
    """Migrations, Envoy's configuration and every other file that the repository has there; of the browser app, what was built."""
    held = distributions.names(distributions.wheel(built, "semantik-mesh"))
    made = {name for name in held if name.startswith(_MADE)}
    assert held - made == distributions.tracked(*_FOLDERS)
    assert {"gateway/web/dist/index.html", "gateway/openapi/docs/swagger-ui-bundle.js"} < made
    assert {"gateway/envoy.yaml", "services/auth/migrations/0001_create_the_tables_of_auth.py"} < held


@pytest.mark.parametrize("name", ["semantik", "semantik-mesh"])
def test_an_sdist_builds_the_wheel_of_the_checkout(built: Path, tmp_path: Path, name: str) -> None:
    """Byte for byte."""
    assert distributions.build_in_place(name, tmp_path).read_bytes() == distributions.wheel(built, name).read_bytes()


def test_the_model_asks_for_nothing(built: Path) -> None:
    """Its weights, its licence, and no other package."""
    wheel = distributions.wheel(built, "semantik-minilm")
    assert distributions.requirements(wheel) == []
    assert {"semantik_minilm/model/model.safetensors", "semantik_minilm/model/tokenizer.json"} < distributions.names(wheel)


def test_no_torch_is_installed(local: Environment) -> None:
    """Nor any part of CUDA."""
    installed = {path.name.lower() for path in local.site_packages.iterdir()}
    assert {"services", "deploy", "semantik_minilm"} < installed
    assert [name for name in installed if name.startswith(("torch", "nvidia", "sentence_transformers", "transformers", "triton"))] == []


def test_the_mesh_runs_from_the_wheels(local: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    """The smoke: index, kill, search over three faces, restart."""
    ran = local.run("-I", ROOT / "tests" / "e2e" / "smoke.py", "--small")
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert (result["ok"], Path(result["mesh"]).is_relative_to(local.site_packages)) == (True, True)
    with capsys.disabled():
        sys.stdout.write(f"\nsmoke from the wheels: {result}\n")
