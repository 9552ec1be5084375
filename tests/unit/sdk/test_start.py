"""What the command imports before it runs anything: --help and completion are asked for all the time."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from semantik.command.__main__ import app

_SLOW = ("grpc", "google.protobuf", "rich", "pydantic", "asyncio")
_PROGRAM = """
import sys
from semantik.command.__main__ import main
sys.argv = ["semantik", *sys.argv[1:]]
try:
    main()
finally:
    print("imported:", *(name for name in sys.modules if name in %r), file=sys.stderr)
"""


def _words(group: TyperGroup, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _words(command, (*words, name))
        elif isinstance(command, TyperCommand):
            yield (*words, name)


def _run(*arguments: str, **environment: str) -> tuple[str, str]:
    process = subprocess.run(
        [sys.executable, "-P", "-c", _PROGRAM % (_SLOW,), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout, process.stderr


def test_help_imports_nothing_slow() -> None:
    """Of any command."""
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    for words in _words(command):
        output, imported = _run(*words, "--help")
        assert output.startswith(" ".join(("Usage: semantik", *words)))
        assert (words, imported) == (words, "imported:\n")


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("semantik coll", "collections"),
        ("semantik collections c", "create"),
        ("semantik search --mo", "--mode"),
        ("semantik search --mode sem", "semantic"),
        ("semantik --v", "--version"),
    ],
)
def test_a_line_is_completed_without_what_is_slow(line: str, completions: str) -> None:
    """A command's name, an option, one of its values."""
    number = str(len(line.split()) - 1)
    output, imported = _run(_SEMANTIK_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=number)
    assert (output.strip(), imported) == (completions, "imported:\n")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completions_with_help_import_nothing_slow(shell: str) -> None:
    """These shells show beside each completion what it is."""
    environment = {"_TYPER_COMPLETE_ARGS": "semantik coll", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    output, imported = _run(_SEMANTIK_COMPLETE=f"complete_{shell}", **environment)
    assert "Create, list and change collections." in output
    assert imported == "imported:\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str) -> None:
    """By the script that --show-completion prints in it."""
    output, _ = _run(_SEMANTIK_COMPLETE=f"source_{shell}")
    assert f"_SEMANTIK_COMPLETE=complete_{shell}" in output
