"""What of a folder is indexed: one definition for folders that are read in place and for those that are uploaded."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from semantik.globs import Globs, globs, ignore_lines

_IGNORE_FILES = (".gitignore", ".ignore")
_CACHE, _ENVIRONMENT = "CACHEDIR.TAG", "pyvenv.cfg"
_CACHE_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
# What package managers fill, whatever is in it.
_DEPENDENCIES = {"node_modules", "bower_components", "__pycache__", "site-packages", "venv"}
_IGNORE_BYTES = 64 * 1024
_IGNORE_PATTERNS = 1000
_IGNORE_FILES_ON_A_PATH = 32
MARKS = frozenset((*_IGNORE_FILES, _CACHE, _ENVIRONMENT))
"""The names of files that say something about the folder they lie in."""
MARK_BYTES = _IGNORE_BYTES + 1
"""How much of such a file is read."""


class SelectionError(Exception):
    """An ignore file is out of bounds, so that its folder is left out; the message says which bound."""


@dataclass(frozen=True)
class Selection:
    """The settings of a source: ``include`` and ``exclude`` are patterns, the others say what is read that is left out else."""

    include: Globs
    exclude: Globs
    hidden: bool = False
    ignored: bool = False
    secrets: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Selection":
        """Return the selection of a source's settings, named as in ``DirectoryConfig``."""
        include, exclude = globs(config.get("include") or ()), globs(config.get("exclude") or ())
        return cls(include, exclude, *(bool(config.get(name)) for name in ("hidden", "ignored", "secrets")))

    def root(self) -> "Folder":
        """Return the folder that everything is selected from."""
        return Folder(self, "", (), is_included=not self.include)

    def shows(self, name: str) -> bool:
        """Return whether something of this name is to be looked at."""
        return (self.hidden or not name.startswith(".")) and (self.ignored or name not in _DEPENDENCIES)


@dataclass(frozen=True)
class Folder:
    """One folder on the way through a tree; ``path`` ends with ``/``, but for the root's, which is empty."""

    selection: Selection
    path: str
    rules: Sequence[tuple[int, Globs]]
    """The ignore files from here up, each with the length of its folder's path; the nearest comes first."""
    is_included: bool
    """Whether ``include`` names all that is below."""

    def marked(self, names: Collection[str], read: Callable[[str], bytes]) -> "Folder | None":
        """Return the folder as the marks in it say; None where it is a cache or an environment of Python and so left out.

        ``names`` are its regular files that are in ``MARKS``; ``read`` returns at most ``MARK_BYTES`` of one.
        Raises SelectionError for an ignore file out of bounds, and what ``read`` raises.
        """
        if self.selection.ignored or not names:
            return self
        if self.path and (_ENVIRONMENT in names or (_CACHE in names and read(_CACHE).startswith(_CACHE_SIGNATURE))):
            return None
        patterns = [glob for name in _IGNORE_FILES if name in names for glob in ignore_lines(_text(name, read(name)))]
        if len(patterns) > _IGNORE_PATTERNS:
            raise SelectionError(f"its ignore files have more than {_IGNORE_PATTERNS} patterns")
        if not patterns:
            return self
        if len(self.rules) == _IGNORE_FILES_ON_A_PATH:
            raise SelectionError(f"more than {_IGNORE_FILES_ON_A_PATH} folders on its path have ignore files")
        return replace(self, rules=((len(self.path), Globs(patterns)), *self.rules))

    def takes_file(self, name: str) -> bool:
        """Return whether a file here is selected."""
        if not self.rules and self.is_included and not self.selection.exclude:
            return True
        path = self.path + name
        if self.selection.exclude.decision(path, name, is_folder=False) or self._is_ignored(path, name, is_folder=False):
            return False
        return self.is_included or bool(self.selection.include.decision(path, name, is_folder=False))

    def below(self, name: str) -> "Folder | None":
        """Return a folder in this one; None where it is left out with all that is below."""
        path = self.path + name
        if self.selection.exclude.decision(path, name, is_folder=True) or self._is_ignored(path, name, is_folder=True):
            return None
        is_included = self.is_included or bool(self.selection.include.decision(path, name, is_folder=True))
        return Folder(self.selection, f"{path}/", self.rules, is_included=is_included)

    def _is_ignored(self, path: str, name: str, *, is_folder: bool) -> bool:
        for start, rules in self.rules:
            decision = rules.decision(path[start:], name, is_folder=is_folder)
            if decision is not None:
                return decision
        return False


def _text(name: str, content: bytes) -> str:
    if len(content) > _IGNORE_BYTES:
        raise SelectionError(f"its {name} has more than {_IGNORE_BYTES // 1024} KiB")
    return content.decode("utf-8", "surrogateescape")
