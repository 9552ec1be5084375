"""Patterns of ignore files mean what they mean to git, and none takes long."""

import random
import subprocess
import time
from pathlib import Path

import pytest

from semantik.globs import Globs, globs, ignore_lines

_NAMES = ("a", "b", "ab", "a.py", "b.py", "foo", "foo.c", "a b", "a-", "Z")
_PARTS = (
    "a",
    "b",
    "*",
    "?",
    "[ab]",
    "[!a]",
    "[a-z]",
    "foo",
    ".py",
    ".c",
    "/",
    "**/",
    "/**/",
    "\\*",
    "[[:alpha:]]",
    "[]a]",
    "\\",
    " ",
    "*.py",
)


@pytest.mark.parametrize(
    ("pattern", "path", "is_folder", "matches"),
    [
        ("*.md", "a/b/c.md", False, True),
        ("docs/*.md", "docs/a.md", False, True),
        ("docs/*.md", "x/docs/a.md", False, False),
        ("docs/*.md", "docs/x/a.md", False, False),
        ("docs/**/*.md", "docs/a.md", False, True),
        ("docs/**/*.md", "docs/x/y/a.md", False, True),
        ("/a.md", "a.md", False, True),
        ("/a.md", "x/a.md", False, False),
        ("build/", "x/build", True, True),
        ("build/", "x/build", False, False),
        ("a/**", "a", True, False),
        ("a/**", "a/b", False, True),
        ("**/a", "x/y/a", False, True),
        ("*", "a/b", False, True),
        ("[!a]", "b", False, True),
        ("[!a]", "a", False, False),
        ("a[", "a[", False, False),
        ("!a", "!a", False, True),
        ("#a", "#a", False, True),
        ("a\\", "a\\", False, False),
    ],
)
def test_a_pattern_names_what_it_says(pattern: str, path: str, is_folder: bool, matches: bool) -> None:
    """A name, a path, or folders alone."""
    assert globs([pattern]).decision(path, path.rpartition("/")[2], is_folder=is_folder) is (matches or None)


@pytest.mark.parametrize("seed", range(25))
def test_an_ignore_file_means_what_it_means_to_git(tmp_path: Path, seed: int) -> None:
    """Whatever is in it: git itself lists what is left."""
    chance = random.Random(seed)  # noqa: S311 - a test
    lines = ["".join(chance.choices(_PARTS, k=chance.randint(1, 4))) for _ in range(chance.randint(1, 6))]
    lines = [chance.choice(("", "", "", "!", "/")) + line + chance.choice(("", "", "", "/", " ")) for line in lines]
    # A slash beside another, or after a backslash, is read in different ways by the versions of git.
    text = "".join(
        f"{line}\n" for line in lines if "//" not in line and "\\/" not in line and "***" not in line and not line.endswith("\\ ")
    )
    (tmp_path / ".gitignore").write_text(text)
    for _ in range(40):
        path = tmp_path / "/".join(chance.choices(_NAMES, k=chance.randint(1, 4)))
        if any(parent.is_file() for parent in (path, *path.parents)):
            continue
        if chance.random() < 0.3:
            path.mkdir(parents=True, exist_ok=True)
        elif not path.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    command = ["git", "-C", str(tmp_path), "ls-files", "-z", "--others", "--exclude-standard"]
    left = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")[:-1]
    assert sorted(_left(tmp_path, "", Globs(ignore_lines(text)))) == sorted(set(left) - {".gitignore"}), text


def _left(root: Path, folder: str, rules: Globs) -> list[str]:
    found = []
    for path in (root / folder).iterdir():
        name = f"{folder}{path.name}"
        if path.name in (".git", ".gitignore") or rules.decision(name, path.name, is_folder=path.is_dir()):
            continue
        found += _left(root, f"{name}/", rules) if path.is_dir() else [name]
    return found


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 100 + "b", "a" * 255),
        ("**/a/" * 60 + "b", "/".join("a" * 700)),
        ("**/*a*a*a*b/" * 30 + "c", "/".join(["a" * 20] * 60)),
        ("*" * 200 + "b", "a" * 255),
        ("[a-z]*" * 100 + "1", "a" * 255),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    """A search that goes back over its steps would take longer than anybody lives."""
    rules = Globs(ignore_lines(pattern))
    start = time.process_time()
    assert rules.decision(path, path.rpartition("/")[2], is_folder=False) is None
    assert time.process_time() - start < 0.1
