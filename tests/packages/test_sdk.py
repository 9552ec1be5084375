"""`semantik` alone, in an empty environment: the client and the command."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.packages import distributions
from tests.packages.environment import Environment

_PROGRAM = """\
import asyncio
from semantik.client import Client
from semantik.search.v1.search_service_pb2 import SearchResponse


async def main() -> SearchResponse:
    async with Client("127.0.0.1:8080") as client:
        await client.accounts.login("ada", "secret")
        papers = await client.collections.named("papers")
        reveal_type(papers.id)
        return await client.search("heat", [papers.id], limit={limit})


asyncio.run(main())
"""


def test_the_wheel_holds_the_client_and_its_stubs_alone(built: Path) -> None:
    """Every file that the repository has there, and no name that belongs to another project."""
    expected = {name.removeprefix("libs/sdk/") for name in distributions.tracked("libs/sdk/semantik", "libs/sdk/buf")}
    held = distributions.names(distributions.wheel(built, "semantik"))
    assert held == expected
    assert {name.partition("/")[0] for name in held} == {"semantik", "buf"}
    assert "semantik/py.typed" in held


def test_it_asks_for_ranges(built: Path) -> None:
    """So that it fits beside what another project needs."""
    asked = distributions.requirements(distributions.wheel(built, "semantik"))
    always = [requirement for requirement in asked if "extra ==" not in requirement]
    assert always
    assert [requirement for requirement in always if ">=" not in requirement or "<" not in requirement] == []


def test_it_is_imported_and_its_command_starts(sdk: Environment, capsys: pytest.CaptureFixture[str]) -> None:
    """From an empty folder, without the checkout."""
    imported = sdk.run("-I", "-c", "import semantik.client, semantik.search.v1.search_service_pb2_grpc as stubs; print(stubs.__file__)")
    assert (imported.returncode, imported.stderr) == (0, "")
    assert Path(imported.stdout).is_relative_to(sdk.site_packages)
    shown = sdk.run("--help", name="semantik")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "operations" in shown.stdout
    assert not {"services", "libs", "deploy", "gateway", "tests", "tools"} & {path.name for path in sdk.site_packages.iterdir()}
    with capsys.disabled():
        sys.stdout.write(f"\nsemantik alone: {sdk.mib} MiB\n")


def test_it_says_what_the_local_mesh_takes(sdk: Environment) -> None:
    """One sentence with the next step, and no traceback."""
    refused = sdk.run("up", name="semantik")
    assert refused.returncode == 1
    assert "pip install 'semantik[local]'" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_it_works_with_the_oldest_versions_that_it_allows(built: Path, tmp_path: Path) -> None:
    """The lower ends of its ranges."""
    environment = Environment(tmp_path, built)
    environment.install("semantik", "--resolution", "lowest-direct")
    shown = environment.run("--help", name="semantik")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "operations" in shown.stdout


def test_a_type_checker_sees_its_types(sdk: Environment) -> None:
    """Of messages and of the client: a wrong argument is found."""
    assert _mypy(sdk, _PROGRAM.format(limit="3")) == ['note: Revealed type is "str"']
    [_, wrong] = _mypy(sdk, _PROGRAM.format(limit='"three"'))
    assert wrong.startswith('error: Argument "limit" to "__call__" of "Search" has incompatible type "str"; expected "int"')


def _mypy(environment: Environment, program: str) -> list[str]:
    """Return what mypy says of a program that somebody writes with the installed client, but not where."""
    file = environment.home / "program.py"
    file.write_text(program)
    options = ["--strict", "--no-error-summary", "--python-executable", str(environment.program("python")), "--config-file", ""]
    command = [sys.executable, "-m", "mypy", *options, file.name]
    checked = subprocess.run(command, cwd=environment.home, capture_output=True, text=True, check=False)
    assert checked.stderr == ""
    return [line.split(": ", 1)[1] for line in checked.stdout.splitlines()]
