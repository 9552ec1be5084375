"""Where the tokens of texts are, read by the model's own tokenizer."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tokenizers import Tokenizer

# What one call of the tokenizer reads: its answer takes a hundred times the memory of its text, and turning the answer
# into numbers holds the interpreter's lock (about 5 ms at this size).
_CALL_CHARACTERS = 50_000
# A word this long is one unknown token to the model: it is counted, and may be cut, in parts.
_WORD_CHARACTERS = 256


@dataclass(frozen=True)
class TokenSpans:
    """Token ``n`` is ``text[starts[n]:ends[n]]``. Arrays: a long text has millions of them."""

    starts: "array[int]" = field(default_factory=lambda: array("I"))
    ends: "array[int]" = field(default_factory=lambda: array("I"))

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def size_bytes(self) -> int:
        return len(self.starts) * (self.starts.itemsize + self.ends.itemsize)


def tokenize(texts: Sequence[str], tokenizer: Tokenizer) -> list[TokenSpans]:
    """Return the token spans of each text, without special tokens.

    ``tokenizer`` must neither truncate nor pad. The work happens outside the interpreter's lock, many short texts or a
    part of a long one to a call: run it in a thread and the event loop goes on.
    """
    spans = [TokenSpans() for _ in texts]
    for group in _groups(texts):
        encodings = tokenizer.encode_batch([texts[index][start:end] for index, start, end in group], add_special_tokens=False)
        for (index, start, _), encoding in zip(group, encodings, strict=True):
            _append(spans[index], start, encoding.offsets)
    return spans


def _append(spans: TokenSpans, position: int, offsets: list[tuple[int, int]]) -> None:
    for start, end in offsets:
        if 0 < end - start <= _WORD_CHARACTERS:
            spans.starts.append(position + start)
            spans.ends.append(position + end)
        elif end > start:
            parts = -(-(end - start) // _WORD_CHARACTERS)
            edges = [position + start + (end - start) * part // parts for part in range(parts + 1)]
            spans.starts.extend(edges[:-1])
            spans.ends.extend(edges[1:])


def _groups(texts: Sequence[str]) -> Iterator[list[tuple[int, int, int]]]:
    """Yield pieces (text, start, end) that one call reads together."""
    group: list[tuple[int, int, int]] = []
    characters = 0
    for index, text in enumerate(texts):
        for start, end in _pieces(text):
            if group and characters + end - start > _CALL_CHARACTERS:
                yield group
                group, characters = [], 0
            group.append((index, start, end))
            characters += end - start
    if group:
        yield group


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    """Cut before a blank where there is one, so that no word is torn."""
    start = 0
    while start < len(text):
        end = start + _CALL_CHARACTERS
        if end < len(text):
            blank = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end))
            end = blank if blank > 0 else end
        yield start, min(end, len(text))
        start = end
