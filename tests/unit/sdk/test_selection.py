"""A folder that is uploaded and one that is read in place: the same files."""

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantik.command.listing import Listed, listed
from semantik.selection import Selection
from services.collection.roots import Roots
from services.collection.worker.connectors.directory import DirectoryConnector

_NAMES = st.sampled_from(
    ["a", "b.txt", "c.md", "docs", "build", ".env", ".github", "node_modules", "venv", "target", "id_rsa", ".ssh", "x.pem", "readme.md"]
)
_PATTERNS = st.sampled_from(
    ["*", "*.md", "build", "build/", "/a", "docs/*", "docs/**/*.md", "**/b.txt", "!c.md", "!build/", "a/b.txt", "target/", ".*", "[ab]*"]
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map("/".join)
_TREES = st.dictionaries(_PATHS, st.just("text"), max_size=25)
_IGNORE_FILES = st.dictionaries(
    st.tuples(st.lists(_NAMES, max_size=2).map("/".join), st.sampled_from([".gitignore", ".ignore"])),
    st.lists(_PATTERNS, max_size=4),
    max_size=4,
)
_CONFIGS = st.fixed_dictionaries(
    {
        "include": st.lists(_PATTERNS, max_size=2),
        "exclude": st.lists(_PATTERNS, max_size=2),
        "hidden": st.booleans(),
        "ignored": st.booleans(),
        "secrets": st.booleans(),
    }
)


def _make(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        if path.is_dir() or any(parent.is_file() for parent in path.parents):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _uploaded(root: Path, **config: Any) -> list[Listed]:
    return list(listed(root, Selection.of(config)))


def _in_place(root: Path, **config: Any) -> dict[str, tuple[str, str] | None]:
    async def entries() -> dict[str, tuple[str, str] | None]:
        connector = DirectoryConnector(str(root), config, Roots([root]))
        return {entry.path: entry.refusal async for batch in connector.entries() for entry in batch}

    return asyncio.run(entries())


@given(tree=_TREES, ignore_files=_IGNORE_FILES, config=_CONFIGS)
@settings(max_examples=150, deadline=None)
def test_an_upload_takes_what_a_source_would_read(tree: dict[str, str], ignore_files: dict[Any, list[str]], config: dict[str, Any]) -> None:
    """Whatever the tree, its ignore files and the options; what is refused is refused by both."""
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        _make(root, tree | {f"{place}/{name}".lstrip("/"): "\n".join(lines) for (place, name), lines in ignore_files.items()})
        (root / "docs").mkdir(exist_ok=True) if not (root / "docs").exists() else None
        in_place = _in_place(root, **config)
        uploaded = {file.name: file.refusal for file in _uploaded(root, **config)}
        assert {name: not refusal for name, refusal in uploaded.items()} == {name: refusal is None for name, refusal in in_place.items()}


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({}, ["b.txt", "docs/a.md", "docs/deep/c.txt", "src/keep.log"]),
        (
            {"ignored": True},
            [
                "a.log", "b.txt", "cache/x.txt", "docs/a.md", "docs/b.tmp", "docs/deep/c.txt", "env/y.txt", "node_modules/x/README.md",
                "src/keep.log",
            ],
        ),
        (
            {"hidden": True},
            [
                ".gitignore", ".hidden/x.txt", "b.txt", "docs/.ignore", "docs/a.md", "docs/deep/c.txt", "src/.gitignore", "src/keep.log",
            ],
        ),
        ({"include": ["docs/"]}, ["docs/a.md", "docs/deep/c.txt"]),
        ({"include": ["*.txt"], "exclude": ["deep"]}, ["b.txt"]),
        ({"include": ["*.log"]}, ["src/keep.log"]),
        ({"exclude": ["*"]}, []),
    ],
)  # fmt: skip
def test_what_is_left_out_and_how_to_get_it(tmp_path: Path, config: dict[str, Any], names: list[str]) -> None:
    """Hidden names, what ignore files say, and what tools fill; ignore files further down add to those further up."""
    tree = {
        ".gitignore": "*.log\n", "a.log": "", "b.txt": "", ".hidden/x.txt": "", ".env": "", "node_modules/x/README.md": "",
        "docs/.ignore": "*.tmp\n", "docs/a.md": "", "docs/b.tmp": "", "docs/deep/c.txt": "",
        "src/.gitignore": "!keep.log\n", "src/keep.log": "",
        "cache/CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n", "cache/x.txt": "", "env/pyvenv.cfg": "", "env/y.txt": "",
    }  # fmt: skip
    _make(tmp_path, tree)
    taken = [file.name for file in _uploaded(tmp_path, **config) if not file.refusal]
    assert [name for name in taken if name not in ("cache/CACHEDIR.TAG", "env/pyvenv.cfg")] == names
    assert taken == [path for path, refusal in _in_place(tmp_path, **config).items() if refusal is None]


@pytest.mark.abuse(22)
def test_an_ignore_file_out_of_bounds_leaves_its_folder_out(tmp_path: Path) -> None:
    """Nothing is indexed that it may have meant to leave out; a pipe, a link or a folder of its name is no ignore file."""
    big, many = tmp_path / "big", tmp_path / "many"
    for folder, text in ((big, "#" * 70_000), (many, "*.log\n" * 1001)):
        folder.mkdir()
        (folder / ".gitignore").write_text(text)
        (folder / "a.txt").write_text("a")
    for name in ("pipe", "link", "folder"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    os.mkfifo(tmp_path / "pipe/.gitignore")
    (tmp_path / "link/.gitignore").symlink_to(many / ".gitignore")
    (tmp_path / "folder/.gitignore").mkdir()
    assert [(file.name, file.refusal) for file in _uploaded(tmp_path)] == [
        ("big", "is left out: its .gitignore has more than 64 KiB"),
        ("folder/a.txt", ""),
        ("link/a.txt", ""),
        ("many", "is left out: its ignore files have more than 1000 patterns"),
        ("pipe/a.txt", ""),
    ]
    assert {path: refusal for path, refusal in _in_place(tmp_path).items() if refusal} == {
        "big": ("TOO_LARGE", "the directory is left out: its .gitignore has more than 64 KiB"),
        "many": ("TOO_LARGE", "the directory is left out: its ignore files have more than 1000 patterns"),
    }


@pytest.mark.abuse(22)
def test_an_upload_follows_no_link_out_of_its_folder(tmp_path: Path) -> None:
    """A link inside is a file; pipes are not opened."""
    root = tmp_path / "root"
    _make(tmp_path, {"root/a.txt": "a", "outside/secret.txt": "secret", "root/id_rsa": "key"})
    (root / "in.txt").symlink_to("a.txt")
    (root / "key.txt").symlink_to("id_rsa")
    (root / "out.txt").symlink_to(tmp_path / "outside/secret.txt")
    (root / "folder").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe.txt")
    uploaded = {file.name: not file.refusal for file in _uploaded(root)}
    assert uploaded == {
        "a.txt": True,
        "folder": False,
        "id_rsa": False,
        "in.txt": True,
        "key.txt": False,
        "out.txt": False,
        "pipe.txt": False,
    }
    assert uploaded == {path: refusal is None for path, refusal in _in_place(root).items()}
    assert [(file.name, bool(file.refusal)) for file in _uploaded(root / "id_rsa")] == [("id_rsa", True)]
