"""Commands whose help and completion do not wait for pydantic, with which typer checks the values of parameters."""

from collections.abc import Callable
from typing import Any, cast

import typer
from typer import _completion_classes
from typer.completion import completion_init  # type: ignore[attr-defined]
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.models import CommandFunctionType


def initialize_completion() -> None:
    """Make the completion of every shell known; it shows help as it is: there is no markup in it, and rich takes longer than the rest."""
    completion_init()
    _completion_classes._sanitize_help_text = lambda text: text  # noqa: SLF001 - typer has no other place for it


class _Unchecked:
    """Takes every value as it is."""

    def coerce(self, value: Any, **_: Any) -> Any:
        return value


class _Quick:
    """A command that leaves values unchecked where they do not matter: of ``--help``, and while a line is completed."""

    def get_help_option(self, context: Any) -> TyperOption | None:
        option = cast("TyperOption | None", super().get_help_option(context))  # type: ignore[misc]
        if option is not None:
            option._runtime_param = cast("Any", _Unchecked())  # noqa: SLF001 - typer has no other place for it
        return option

    def parse_args(self, context: Any, args: list[str]) -> list[str]:
        if context.resilient_parsing:
            for parameter in self.get_params(context):  # type: ignore[attr-defined]
                parameter._runtime_param = _Unchecked()  # noqa: SLF001
        return cast("list[str]", super().parse_args(context, args))  # type: ignore[misc]


class _Group(_Quick, TyperGroup):
    pass


class _Command(_Quick, TyperCommand):
    pass


class Commands(typer.Typer):
    """A group of commands, with help in plain text: rich takes three times as long to start as all the rest."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=_Group, rich_markup_mode=None, add_completion=False, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        return super().command(name, cls=_Command, **settings)
