"""Turns texts into token ids, exactly as the model was trained to read them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grpc import StatusCode
from tokenizers import Encoding, Tokenizer

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles

_FEW_TEXTS, _FEW_CHARACTERS = 4, 4000


@dataclass(frozen=True)
class Tokenized:
    """The ids of one text or pair, special tokens included; ``types`` are 1 for the second of a pair, empty for one text.

    ``excess`` is how many tokens were cut off, because the model does not read them.
    """

    ids: list[int]
    excess: int = 0
    types: list[int] | None = None


def are_short(texts: Sequence[str]) -> bool:
    """Return whether reading all of them takes a millisecond or two at most."""
    return len(texts) <= _FEW_TEXTS and sum(map(len, texts)) <= _FEW_CHARACTERS


def require_whole(texts: Sequence[Tokenized], positions: Sequence[int], limit: int) -> None:
    """Raise TEXT_TOO_LONG for the first text that was cut; ``positions`` are those of the texts in the request."""
    for text, position in zip(texts, positions, strict=True):
        if text.excess:
            tokens = len(text.ids) + text.excess
            raise Failure(
                StatusCode.INVALID_ARGUMENT,
                ErrorReason.ERROR_REASON_TEXT_TOO_LONG,
                f"texts[{position}] has {tokens} tokens; the model reads {limit}; ask for truncation or cut the text",
                {"index": str(position), "tokens": str(tokens), "limit": str(limit)},
                field="texts",
            )


class Tokens:
    """A model's tokenizer, loaded from its file, and that file's content; raises ModelDamagedError. Any thread may use it."""

    def __init__(self, files: ModelFiles) -> None:
        self.files = files
        try:
            # The library keeps Python's lock while it reads a file, and while it parses one (milliseconds for 30,000 words, a
            # second and more for the 250,000 of multilingual models), so at least the disk is waited for without it.
            self.json = files.tokenizer.read_bytes()
            self._tokenizer = Tokenizer.from_buffer(self.json)
        except Exception as error:  # the library raises nothing narrower
            raise ModelDamagedError(files.id, f"tokenizer.json cannot be read: {error}") from error
        # The file may carry limits of its own training; ours come from the model.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._max_length = files.max_length
        self._tail = self._tokenizer.num_special_tokens_to_add(is_pair=False) // 2
        # What every passage has besides its own tokens: special ones and those of the prefix.
        [self.added_tokens] = self.count([files.prefixes[1]])

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        return [len(encoding) for encoding in self._encoded(texts)]

    def tokenize(self, texts: Sequence[str]) -> list[Tokenized]:
        """Return the ids of each text, cut to what the model reads."""
        return [self._cut(encoding.ids, None) for encoding in self._encoded(texts)]

    def pairs(self, query: str, texts: Sequence[str]) -> list[Tokenized]:
        """Return the ids of each text behind the query; only the text is cut. Raises TEXT_TOO_LONG for the query."""
        if len(self._tokenizer.encode(query).ids) >= self._max_length - self._tail:
            raise Failure(
                StatusCode.INVALID_ARGUMENT,
                ErrorReason.ERROR_REASON_TEXT_TOO_LONG,
                f"the query leaves no place for a text; the model reads {self._max_length} tokens",
                {"limit": str(self._max_length)},
                field="query",
            )
        encodings = self._tokenizer.encode_batch([(query, text) for text in texts])
        return [self._cut(encoding.ids, encoding.type_ids) for encoding in encodings]

    def _encoded(self, texts: Sequence[str]) -> Iterable[Encoding]:
        # A few short ones need no pool of threads, which may be busy with a great many. This way the library keeps Python's lock,
        # for a millisecond or two with texts of this length.
        return map(self._tokenizer.encode, texts) if are_short(texts) else self._tokenizer.encode_batch_fast(texts)

    def _cut(self, ids: list[int], types: list[int] | None) -> Tokenized:
        excess = len(ids) - self._max_length
        if excess <= 0:
            return Tokenized(ids, types=types)
        # The special tokens at the end stay.
        end = self._max_length - self._tail
        tail = len(ids) - self._tail
        return Tokenized(ids[:end] + ids[tail:], excess, types and types[:end] + types[tail:])
