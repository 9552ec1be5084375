"""What the model reads of a chunk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.collection.chunking.chunk import Chunk
from services.collection.worker.context import in_context


def _chunk(text: str, tokens: int) -> Chunk:
    return Chunk(0, text, 0, len(text), tokens, 0, "")


@pytest.mark.parametrize(
    ("name", "text", "tokens", "read"),
    [
        ("gates.md", "They open at night.", 5, "gates.md\nThey open at night."),
        ("Gates", "Gates open at night.", 5, "Gates open at night."),
        ("", "They open at night.", 5, "They open at night."),
        ("gates.md", "They open at night.", 251, "They open at night."),
        ("gates-of-the-river.md", "They open at night.", 249, "gates-of-t\nThey open at night."),
        ("n" * 300, "They open at night.", 5, "n" * 100 + "\nThey open at night."),
    ],
)
def test_a_chunk_is_read_below_its_documents_name(name: str, text: str, tokens: int, read: str) -> None:
    """Where it fits, and is not said already."""
    assert in_context(name, _chunk(text, tokens), 256) == read


@given(st.text(max_size=300), st.text(min_size=1), st.integers(1, 600), st.integers(0, 512))
def test_the_text_is_always_read_whole_and_last(name: str, text: str, tokens: int, most: int) -> None:
    """Whatever the name."""
    read = in_context(name, _chunk(text, tokens), most)
    assert read.endswith(text)
    assert len(read) <= len(text) + 101
