"""What filters find a document by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.search.paths import extension, folded, folders


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.txt", "txt"),
        ("a/b.c/Report.PDF", "pdf"),
        ("a.tar.gz", "gz"),
        ("a.b/c", ""),
        ("README", ""),
        (".gitignore", ""),
        ("a/.env.local", "local"),
        ("list.jsonl#12", "jsonl"),
        ("notes #1.md", "md"),
        ("Dr. Who", ""),
        ("a.", ""),
        ("a.c++", "c++"),
        ("", ""),
    ],
)
def test_an_extension_is_what_stands_behind_the_last_dot(path: str, expected: str) -> None:
    """In lower case; a hidden file and a sentence have none."""
    assert extension(path) == expected


def test_the_folders_are_all_above_a_document() -> None:
    """The outermost first, at most eight."""
    assert folders("a.txt") == []
    assert folders("A/b/c.txt") == ["A", "A/b"]
    assert len(folders("x/" * 20 + "a.txt")) == 8


@given(st.text())
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    """So that a value of a facet finds what it counts."""
    assert folded(folded(text)) == folded(text)


def test_folding_takes_letters_as_equal_however_they_are_written() -> None:
    """In upper case, or with the accent as a character of its own."""
    assert {folded(text) for text in ("Größe", "GRÖSSE", "gro\u0308ße")} == {"grösse"}
