"""Which files the command uploads where the server may not read them."""

from pathlib import Path

import pytest

from semantik.command.indexing import selected


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("outside")
    for name in ("a.log", "f1.txt", "f2.txt", "sub/f10.txt", "sub/deep/b.md", ".env", ".git/config", "node_modules/x/README.md"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(name)
    return directory


@pytest.mark.parametrize(
    ("include", "exclude", "names"),
    [
        ([], [], ["a.log", "f1.txt", "f2.txt", "sub/f10.txt", "sub/deep/b.md"]),
        (["*.txt"], ["f1*"], ["f2.txt"]),
        ([], ["sub"], ["a.log", "f1.txt", "f2.txt"]),
        (["sub/*"], [], ["sub/f10.txt", "sub/deep/b.md"]),
        ([], ["*"], []),
    ],
)
def test_an_upload_takes_what_a_source_would_take(directory: Path, include: list[str], exclude: list[str], names: list[str]) -> None:
    """Nothing hidden, no dependencies, and nothing that is excluded."""
    assert list(selected(directory, include, exclude)) == names
