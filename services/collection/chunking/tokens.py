"""Where the tokens of texts are, read by the model's own tokenizer."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import NoneType

from tokenizers import Tokenizer
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

# What one call of the tokenizer reads: its answer takes a hundred times the memory of its text, and turning the answer
# into numbers holds the interpreter's lock (about 5 ms at this size).
_CALL_CHARACTERS = 50_000
# A word this long is one unknown token to the model: it is counted, and may be cut, in parts.
_WORD_CHARACTERS = 256
# What the remembered words may have together.
_WORDS_CHARACTERS = 2_000_000


@dataclass(frozen=True)
class TokenSpans:
    """Token ``n`` is ``text[starts[n]:ends[n]]``. Arrays: a long text has millions of them."""

    starts: "array[int]" = field(default_factory=lambda: array("I"))
    ends: "array[int]" = field(default_factory=lambda: array("I"))

    def __len__(self) -> int:
        return len(self.starts)

    def append(self, position: int, offsets: Sequence[tuple[int, int]]) -> None:
        """Add tokens of a piece of text that begins at ``position``."""
        self.starts.extend([position + start for start, _ in offsets])
        self.ends.extend([position + end for _, end in offsets])

    @property
    def size_bytes(self) -> int:
        return len(self.starts) * (self.starts.itemsize + self.ends.itemsize)


class TokenReader:
    """Finds the tokens of texts; keep one for each tokenizer, which must neither truncate nor pad.

    Where words are tokenized each by itself, as BERT's are, each distinct word is tokenized once and remembered: natural text
    costs a tenth. The tokenizer works outside the interpreter's lock, on many short texts or a part of a long one: run it in
    a thread and the event loop goes on.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._reads_words_alone = _reads_words_alone(tokenizer)
        self._words: dict[str, list[tuple[int, int]]] = {}
        self._words_characters = 0

    def spans(self, texts: Sequence[str]) -> list[TokenSpans]:
        """Return the token spans of each text, without special tokens."""
        result = [TokenSpans() for _ in texts]
        for group in _groups(texts):
            pieces = [texts[index][start:end] for index, start, end in group]
            if self._reads_words_alone:
                known = self._known(pieces)
                for (index, start, _), piece in zip(group, pieces, strict=True):
                    _append_words(result[index], start, piece, known)
            else:
                for (index, start, _), offsets in zip(group, self._offsets(pieces), strict=True):
                    result[index].append(start, offsets)
        return result

    def _offsets(self, texts: Sequence[str]) -> Iterator[list[tuple[int, int]]]:
        for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False):
            yield [part for start, end in encoding.offsets if end > start for part in _parts(start, end)]

    def _known(self, pieces: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
        """Return the tokens of every word there is in ``pieces``, and of many others."""
        if self._words_characters > _WORDS_CHARACTERS:
            self._words, self._words_characters = {}, 0
        known = self._words  # another thread may begin a new one meanwhile
        fresh = list({word for piece in pieces for word in _split(piece)}.difference(known))
        [offsets] = self._offsets([" ".join(fresh)])
        token, start = 0, 0
        for word in fresh:
            first, end = token, start + len(word)
            while token < len(offsets) and offsets[token][0] < end:
                token += 1
            known[word] = [(left - start, right - start) for left, right in offsets[first:token]]
            start = end + 1
        self._words_characters += start
        return known


def _append_words(spans: TokenSpans, position: int, text: str, known: dict[str, list[tuple[int, int]]]) -> None:
    starts: list[int] = []
    ends: list[int] = []
    for word in _split(text):
        for start, end in known[word]:
            starts.append(position + start)
            ends.append(position + end)
        position += len(word) + 1
    spans.starts.extend(starts)
    spans.ends.extend(ends)


def _split(text: str) -> list[str]:
    return text.replace("\n", " ").split(" ")


def _parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    count = -(-(end - start) // _WORD_CHARACTERS)
    edges = [start + (end - start) * part // count for part in range(count + 1)]
    return pairwise(edges)


def _reads_words_alone(tokenizer: Tokenizer) -> bool:
    """Return whether the tokens of a text are those of its words between blanks, in order."""
    return (
        isinstance(tokenizer.pre_tokenizer, BertPreTokenizer)
        and isinstance(tokenizer.normalizer, BertNormalizer | NoneType)
        and not any(token.lstrip or token.rstrip or " " in token.content for token in tokenizer.get_added_tokens_decoder().values())
    )


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
