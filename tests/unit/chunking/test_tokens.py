"""Tokens are where the model's own tokenizer finds them, however they are read."""

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import Metaspace

from services.collection.chunking.tokens import TokenReader, TokenSpans

_PIECES = st.sampled_from(
    [
        "the",
        "whale",
        "d\u00e9j\u00e0",
        "a\u0301",
        "\u0301",
        "\u9be8\u306f",
        "[MASK]",
        "[CLS]x",
        "\x1c",
        "\x00",
        "\u00a0",
        "\u2028",
        "\t",
        "\r\n",
    ]
)
_TEXTS = st.lists(_PIECES | st.sampled_from([" ", "  ", "\n"]) | st.text(max_size=6), max_size=60).map("".join)


def _direct(text: str, tokenizer: Tokenizer) -> list[tuple[int, int]]:
    return [(start, end) for start, end in tokenizer.encode(text, add_special_tokens=False).offsets if end > start]


def _pairs(spans: TokenSpans) -> list[tuple[int, int]]:
    return list(zip(spans.starts, spans.ends, strict=True))


@given(texts=st.lists(_TEXTS, max_size=4))
def test_remembered_words_have_the_tokens_of_the_whole_text(tokenizer: Tokenizer, texts: list[str]) -> None:
    """Marks, controls, special tokens and blanks of every kind included."""
    reader = TokenReader(tokenizer)
    assert reader._reads_words_alone
    for _ in range(2):
        assert [_pairs(spans) for spans in reader.spans(texts)] == [_direct(text, tokenizer) for text in texts]


def test_a_tokenizer_that_reads_across_blanks_is_asked_for_each_text(tokenizer: Tokenizer) -> None:
    """Only BERT's way of splitting allows anything else."""
    other = Tokenizer.from_str(tokenizer.to_str())
    other.pre_tokenizer = Metaspace()
    reader = TokenReader(other)
    assert not reader._reads_words_alone
    texts = ["blue whales swim", "", "the  moon\npulls"]
    assert [_pairs(spans) for spans in reader.spans(texts)] == [_direct(text, other) for text in texts]


def test_long_texts_and_many_short_ones_are_read_in_parts(tokenizer: Tokenizer) -> None:
    """Offsets are those of the whole text."""
    text = "Unbelievable oceanography. " * 6_000
    [long, *short] = TokenReader(tokenizer).spans([text, *["two words"] * 200])
    assert _pairs(long) == _direct(text, tokenizer)
    assert {tuple(_pairs(spans)) for spans in short} == {((0, 3), (4, 9))}


def test_what_is_remembered_is_bounded(tokenizer: Tokenizer) -> None:
    """A text of nothing but new words begins the memory again."""
    reader = TokenReader(tokenizer)
    reader.spans([f"{number} {'x' * 90_000}" for number in range(40)])
    assert sum(map(len, reader._words)) < 2_500_000
