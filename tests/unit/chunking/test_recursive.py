"""Chunks cover a text in order, within their size, at its boundaries."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from services.collection.chunking import chunk_texts
from services.collection.chunking.chunk import Chunk
from services.collection.chunking.settings import ChunkSettings
from services.collection.chunking.tokens import TokenReader
from services.collection.landmarks import Landmarks

_WORDS = st.sampled_from(
    ["whale", "unbelievably", "the", "déjà", "鯨は大きい。", "naïve.", "x=1;", "#", "🐋", "a\u0301b", "\ufffd", "ﬁn", "각"]
)
_BLANKS = st.sampled_from([" ", "\n", "\n\n", "  ", "\t", ". ", "\n\n\n"])
_TEXTS = st.lists(st.tuples(_WORDS | st.text(max_size=12), _BLANKS), max_size=120).map(lambda pairs: "".join(a + b for a, b in pairs))
_SIZES = st.tuples(st.integers(4, 40), st.integers(0, 2)).map(lambda pair: ChunkSettings(size=pair[0], overlap=pair[0] * pair[1] // 4))


def _chunks(text: str, tokenizer: Tokenizer, settings: ChunkSettings, landmarks: Landmarks | None = None) -> list[Chunk]:
    [chunks] = chunk_texts([(text, landmarks or Landmarks())], TokenReader(tokenizer), settings)
    return chunks


def _count(text: str, tokenizer: Tokenizer) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


@given(text=_TEXTS, settings=_SIZES)
def test_chunks_cover_the_text_in_order_within_their_size(tokenizer: Tokenizer, text: str, settings: ChunkSettings) -> None:
    """Nothing but blanks is left out, and each chunk is exactly a slice of the text."""
    made = _chunks(text, tokenizer, settings)
    assert [chunk.ordinal for chunk in made] == list(range(len(made)))
    assert all(chunk.text == text[chunk.start : chunk.end] for chunk in made)
    assert all(0 < chunk.token_count <= settings.size for chunk in made)
    assert all(before.start < after.start and before.end <= after.end for before, after in pairwise(made))
    if made:
        covered = bytearray(len(text))
        for chunk in made:
            covered[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
        assert [text[at] for at, seen in enumerate(covered) if not seen and not text[at].isspace()] == []
    assert made == _chunks(text, tokenizer, settings)


@given(words=st.lists(st.sampled_from(["blue", "whales", "swim.", "unbelievable", "oceanography"]), min_size=1, max_size=300))
def test_token_counts_are_what_the_model_reads(tokenizer: Tokenizer, words: list[str]) -> None:
    """A chunk between words counts the same alone as within the text."""
    for chunk in _chunks(" ".join(words), tokenizer, ChunkSettings(size=50, overlap=10)):
        assert chunk.token_count == _count(chunk.text, tokenizer)


def test_a_chunk_ends_at_the_strongest_boundary_of_its_window(tokenizer: Tokenizer) -> None:
    """A paragraph's end goes before a line's, a line's before a sentence's."""
    text = "one two three four five. six seven\neight nine\n\nten eleven. twelve thirteen fourteen"
    assert [chunk.text for chunk in _chunks(text, tokenizer, ChunkSettings(size=14, overlap=0))] == [
        "one two three four five. six seven\neight nine",
        "ten eleven. twelve thirteen fourteen",
    ]


def test_neighbours_share_their_overlap_but_never_across_a_heading(tokenizer: Tokenizer) -> None:
    """Overlap keeps a sentence whole; a section begins with its own heading."""
    words = " ".join(f"w{number}" for number in range(60))
    text = f"# First\n\n{words}\n\n# Second\n\n{words}"
    second = text.index("# Second")
    marks = Landmarks(headings=[(0, "First"), (second, "Second")], breaks=[0, second])
    made = _chunks(text, tokenizer, ChunkSettings(size=100, overlap=20), marks)
    assert {chunk.section for chunk in made if chunk.start < second} == {"First"}
    assert {chunk.section for chunk in made if chunk.start >= second} == {"Second"}
    assert second in [chunk.start for chunk in made]
    assert all(chunk.end <= second or chunk.start >= second for chunk in made)
    assert made[1].start < made[0].end


def test_a_listing_is_not_cut_at_its_blank_lines(tokenizer: Tokenizer) -> None:
    """The blank line before a listing is the better place."""
    text = "Some more words to begin with here.\n\n```\nfirst = 1\n\nsecond = 2\n```"
    block = (text.index("```"), len(text))
    plain = _chunks(text, tokenizer, ChunkSettings(size=15, overlap=0))
    kept = _chunks(text, tokenizer, ChunkSettings(size=15, overlap=0), Landmarks(blocks=[block]))
    assert plain[0].text == "Some more words to begin with here.\n\n```\nfirst = 1"
    assert kept[0].text == "Some more words to begin with here."


@pytest.mark.parametrize(
    "text",
    ["a" * 300_000, "word" + " " * 500_000 + "word", "ab " * 200_000, "\ufffd" * 100_000 + "x", "鯨" * 250_000],
    ids=["one word", "blanks", "many words", "nothing the model knows", "no blanks"],
)
def test_no_text_makes_a_chunk_too_large_to_send(tokenizer: Tokenizer, text: str) -> None:
    """A chunk has bounds in characters too, so that one strange file cannot fail a batch."""
    made = _chunks(text, tokenizer, ChunkSettings())
    assert max(len(chunk.text) for chunk in made) <= 20_000
    assert made[-1].end == len(text.rstrip())


def test_pages_are_counted_from_one(tokenizer: Tokenizer) -> None:
    """A chunk is on the page where it begins."""
    made = _chunks("one\n\ntwo", tokenizer, ChunkSettings(size=1, overlap=0), Landmarks(pages=[0, 5]))
    assert [chunk.page for chunk in made] == [1, 2]


def test_the_name_of_a_cut_follows_from_its_settings() -> None:
    """Equal names mean equal chunks; anything else has another name."""
    names = {ChunkSettings("recursive", size, overlap).chunking_id(digest) for size in (100, 200) for overlap in (0, 40) for digest in "ab"}
    assert len(names) == 8
    assert ChunkSettings().chunking_id("a") == ChunkSettings("recursive", 200, 40).chunking_id("a")
