"""Turns texts into token ids, exactly as the model was trained to read them."""

from collections.abc import Iterable
from dataclasses import dataclass

from grpc import StatusCode
from tokenizers import Encoding, Tokenizer
from tokenizers.models import WordLevel

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.models import ModelDamagedError, ModelFiles


def start_threads() -> None:
    """Start the library's own threads, which all tokenizers share; they inherit the priority of the calling one."""
    Tokenizer(WordLevel({"": 0}, unk_token="")).encode_batch_fast(["", ""])


@dataclass(frozen=True)
class Tokenized:
    """The ids of one text or pair, special tokens included; ``types`` are 1 for the second of a pair, empty for one text.

    ``is_truncated`` if there was more than the model reads.
    """

    ids: list[int]
    is_truncated: bool
    types: list[int] | None = None


class Tokens:
    def __init__(self, files: ModelFiles) -> None:
        self.files = files
        try:
            self._tokenizer = Tokenizer.from_file(str(files.tokenizer))
        except Exception as error:  # the library raises nothing narrower
            raise ModelDamagedError(f"{files.id}: tokenizer.json cannot be read: {error}") from error
        # The file may carry limits of its own training; ours come from the model.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._max_length = files.max_length
        self._tail = self._tokenizer.num_special_tokens_to_add(is_pair=False) // 2

    def count(self, texts: list[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(texts)]

    def tokenize(self, texts: list[str], *, truncate: bool) -> list[Tokenized]:
        """Return the ids of each text; raises TEXT_TOO_LONG where one is too long and ``truncate`` is off."""
        # A few at a time need no pool of threads, which may be busy with a great many.
        encodings = map(self._tokenizer.encode, texts) if len(texts) <= 4 else self._tokenizer.encode_batch_fast(texts)
        return self._cut(encodings, truncate=truncate, typed=False)

    def pairs(self, query: str, texts: list[str], *, truncate: bool) -> list[Tokenized]:
        """Return the ids of each text behind the query; only the text is cut. Raises TEXT_TOO_LONG."""
        if len(self._tokenizer.encode(query).ids) >= self._max_length - self._tail:
            raise Failure(
                StatusCode.INVALID_ARGUMENT,
                ErrorReason.ERROR_REASON_TEXT_TOO_LONG,
                f"the query leaves no place for a text; the model reads {self._max_length} tokens",
                {"limit": str(self._max_length)},
                field="query",
            )
        return self._cut(self._tokenizer.encode_batch([(query, text) for text in texts]), truncate=truncate, typed=True)

    def _cut(self, encodings: Iterable[Encoding], *, truncate: bool, typed: bool) -> list[Tokenized]:
        made = []
        for position, encoding in enumerate(encodings):
            ids, types = encoding.ids, encoding.type_ids if typed else None
            is_long = len(ids) > self._max_length
            if is_long and not truncate:
                raise Failure(
                    StatusCode.INVALID_ARGUMENT,
                    ErrorReason.ERROR_REASON_TEXT_TOO_LONG,
                    f"texts[{position}] has {len(ids)} tokens; the model reads {self._max_length}; ask for truncation or cut the text",
                    {"index": str(position), "tokens": str(len(ids)), "limit": str(self._max_length)},
                    field="texts",
                )
            if is_long:
                # The special tokens at the end stay.
                ids = ids[: self._max_length - self._tail] + ids[len(ids) - self._tail :]
                types = types[: self._max_length - self._tail] + types[len(types) - self._tail :] if types else None
            made.append(Tokenized(ids, is_long, types))
        return made
