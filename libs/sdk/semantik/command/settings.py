"""The options that say what of a folder is indexed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from semantik.collection.v1.source_pb2 import DirectoryConfig

Includes = Annotated[list[str] | None, typer.Option("--include", help="Index only what matches this pattern; may be repeated.")]
Excludes = Annotated[list[str] | None, typer.Option("--exclude", help="Leave out what matches this pattern; may be repeated.")]
Hidden = Annotated[bool | None, typer.Option("--hidden/--no-hidden", help="Index hidden files too.", show_default=False)]
Ignored = Annotated[
    bool | None,
    typer.Option("--no-ignore/--ignore", help="Index what ignore files name, and folders of dependencies, too.", show_default=False),
]
Secrets = Annotated[bool | None, typer.Option("--secrets/--no-secrets", help="Index what looks like a secret too.", show_default=False)]


@dataclass(frozen=True)
class Settings:
    """What was asked for; None where nothing was said."""

    include: Sequence[str] | None = None
    exclude: Sequence[str] | None = None
    hidden: bool | None = None
    ignored: bool | None = None
    secrets: bool | None = None

    def over(self, directory: "DirectoryConfig") -> "DirectoryConfig":
        """Return the settings of a source with those that were asked for in their place."""
        changed = type(directory)()
        changed.CopyFrom(directory)
        for name in ("include", "exclude"):
            if patterns := getattr(self, name):
                del getattr(changed, name)[:]
                # Everything is what a source without patterns takes.
                getattr(changed, name).extend(pattern for pattern in patterns if (name, pattern) != ("include", "*"))
        for name in ("hidden", "ignored", "secrets"):
            if (wanted := getattr(self, name)) is not None:
                setattr(changed, name, wanted)
        return changed


def in_words(directory: "DirectoryConfig") -> str:
    """Return the settings of a source as the options that ask for them."""
    options = [f"--include {pattern!r}" for pattern in directory.include] + [f"--exclude {pattern!r}" for pattern in directory.exclude]
    switches = (("--hidden", directory.hidden), ("--no-ignore", directory.ignored), ("--secrets", directory.secrets))
    return " ".join(options + [name for name, is_set in switches if is_set]) or "no options"
