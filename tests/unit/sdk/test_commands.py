"""The commands as a whole."""

from collections.abc import Iterator
from importlib.metadata import version

import pytest
import typer
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from semantik.command.__main__ import app


def _commands(group: TyperGroup, words: tuple[str, ...] = ()) -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, (*words, name))
        elif isinstance(command, TyperCommand):
            yield " ".join((*words, name)), command


_GROUP = typer.main.get_command(app)
assert isinstance(_GROUP, TyperGroup)
_COMMANDS = dict(_commands(_GROUP))


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_command_speaks_json_and_says_what_it_does(name: str) -> None:
    """Whichever it is."""
    command = _COMMANDS[name]
    assert "--json" in {option for parameter in command.params for option in parameter.opts}
    assert command.help


def test_the_version_is_printed() -> None:
    """Without a command."""
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"semantik {version('semantik')}\n")
