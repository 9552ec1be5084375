"""The patterns that name files, as in git's ignore files: translated into expressions that never search a name twice."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

_CLASSES = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9", "graph": "\\x21-\\x7e",
    "lower": "a-z", "print": "\\x20-\\x7e", "punct": "!-/:-@\\[-`{-~", "space": "\\s", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_NEVER = "(?!)"
_STAR = "*"


@dataclass(frozen=True)
class Glob:
    """One pattern: ``expression`` is of a name where ``is_name``, else of a path below the folder that the pattern belongs to."""

    expression: str
    is_name: bool
    is_folder: bool
    """Whether it matches folders alone."""
    is_exception: bool = False
    """Whether what it matches is taken back in."""


class Globs:
    """Patterns of which the last one that matches decides."""

    def __init__(self, globs: Iterable[Glob]) -> None:
        self._globs = tuple(globs)
        self._of_folders = _Either(self._globs)
        self._of_files = _Either([glob for glob in self._globs if not glob.is_folder])
        self._exceptions = [(glob, _Either([glob])) for glob in self._globs] if any(glob.is_exception for glob in self._globs) else []

    def __bool__(self) -> bool:
        return bool(self._globs)

    def decision(self, path: str, name: str, *, is_folder: bool) -> bool | None:
        """Return True for what the patterns name, False for an exception from it, None for what they say nothing about.

        Patterns that name a folder name all that is below it; it is for the caller to ask about folders first.
        """
        if not (self._of_folders if is_folder else self._of_files).matches(path, name):
            return None
        if not self._exceptions:
            return True
        deciding = (glob for glob, one in reversed(self._exceptions) if (is_folder or not glob.is_folder) and one.matches(path, name))
        return not next(deciding).is_exception


class _Either:
    """Whether one of some patterns matches: one look at the name and one at the path, however many there are."""

    def __init__(self, globs: Sequence[Glob]) -> None:
        self._name = _alternatives(glob.expression for glob in globs if glob.is_name)
        self._path = _alternatives(glob.expression for glob in globs if not glob.is_name)

    def matches(self, path: str, name: str) -> bool:
        return bool((self._name and self._name.fullmatch(name)) or (self._path and self._path.fullmatch(path)))


def _alternatives(expressions: Iterable[str]) -> re.Pattern[str] | None:
    joined = "|".join(dict.fromkeys(expressions))
    return re.compile(joined, re.DOTALL) if joined else None


def globs(patterns: Iterable[str]) -> Globs:
    """Return patterns that were given one by one: ``#`` and ``!`` at their beginning mean themselves."""
    return Globs(_glob(pattern) for pattern in patterns)


def ignore_lines(text: str) -> Iterator[Glob]:
    """Yield the patterns of an ignore file, with its comments and exceptions, as gitignore(5) describes it."""
    for line in text.removeprefix("\ufeff").split("\n"):
        pattern = _stripped(line.removesuffix("\r"))
        if not pattern or pattern.startswith("#"):
            continue
        is_exception = pattern.startswith("!")
        pattern = pattern[1:] if is_exception else pattern
        if pattern.strip("/"):
            yield replace(_glob(pattern), is_exception=is_exception)


def _stripped(line: str) -> str:
    """Return a line without the spaces at its end, but for one that a backslash keeps."""
    stripped = line.rstrip(" ")
    escapes = len(stripped) - len(stripped.rstrip("\\"))
    return f"{stripped} " if escapes % 2 and len(stripped) < len(line) else stripped


def _glob(pattern: str) -> Glob:
    is_folder = pattern.endswith("/")
    body = pattern[:-1] if is_folder else pattern
    is_name = "/" not in body
    if is_name:
        return Glob(_part(body), is_name=True, is_folder=is_folder)
    parts = body.removeprefix("/").split("/")
    return Glob(_path(parts) if all(parts) else _NEVER, is_name=False, is_folder=is_folder)


def _path(parts: Sequence[str]) -> str:
    """Return the expression of a path: ``**`` stands for any number of folders, and at the end for all that is below.

    Between two ``**`` the first place that fits is as good as any later one, so that none is tried again: the group is atomic.
    """
    runs: list[list[str]] = [[]]
    for part in parts:
        if part != "**":
            runs[-1].append(_part(part))
        elif runs[-1] or len(runs) == 1:
            runs.append([])
    first, *later = ["/".join(run) for run in runs]
    if not later:
        return first
    expression = f"{first}/" if first else ""
    for run in later[:-1]:
        expression += f"(?>(?:[^/]++/)*?{run}/)"
    return expression + (f"(?:[^/]++/)*{later[-1]}" if later[-1] else ".+")


def _part(part: str) -> str:
    """Return the expression of one name; between two ``*`` the first place that fits is as good as any later one."""
    runs = [""]
    for token in _tokens(part):
        if token != _STAR:
            runs[-1] += token
        elif runs[-1] or len(runs) == 1:
            runs.append("")
    first, *later = runs
    if not later:
        return first
    return first + "".join(f"(?>[^/]*?{run})" for run in later[:-1]) + f"[^/]*{later[-1]}"


def _tokens(part: str) -> Iterator[str]:
    """Yield the expression of each character that a pattern asks for, and ``*``."""
    at = 0
    while at < len(part):
        character = part[at]
        at += 1
        if character == "*":
            yield _STAR
        elif character == "?":
            yield "[^/]"
        elif character == "[":
            expression, at = _class(part, at)
            yield expression
        elif character == "\\":
            yield re.escape(part[at]) if at < len(part) else _NEVER
            at += 1
        else:
            yield re.escape(character)


def _class(part: str, at: int) -> tuple[str, int]:
    """Return the expression of a bracket expression that begins before ``at``, and where it ends; one without end matches nothing."""
    is_negated = part[at : at + 1] in ("!", "^")
    at += is_negated
    members: list[str] = []
    start = at
    while at < len(part):
        if part[at] == "]" and at > start:
            body = "".join(members)
            # What matches any character may be left: a name has no slash.
            return (f"[^/{body}]" if is_negated else f"(?!/)[{body}]" if body else _NEVER), at + 1
        if part.startswith("[:", at) and (end := part.find(":]", at)) > 0:
            if part[at + 2 : end] not in _CLASSES:
                return _NEVER, len(part)
            members.append(_CLASSES[part[at + 2 : end]])
            at = end + 2
            continue
        low, at = _member(part, at)
        if part[at : at + 1] == "-" and part[at + 1 : at + 2] not in ("", "]"):
            high, at = _member(part, at + 1)
            if low <= high:
                members.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            members.append(re.escape(low))
    return _NEVER, at


def _member(part: str, at: int) -> tuple[str, int]:
    at += part[at] == "\\" and at + 1 < len(part)
    return part[at], at + 1
