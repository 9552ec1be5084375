"""Turns texts into token ids, exactly as the model was trained to read them."""

from dataclasses import dataclass

from grpc import StatusCode
from tokenizers import Tokenizer

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.models import ModelFiles


@dataclass(frozen=True)
class Tokenized:
    """The ids of one text, special tokens included; ``is_truncated`` if the text has more than the model reads."""

    ids: list[int]
    is_truncated: bool


class Tokens:
    def __init__(self, files: ModelFiles) -> None:
        self._tokenizer = Tokenizer.from_file(str(files.tokenizer))
        # The file may carry limits of its own training; ours come from the model.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._max_length = files.max_length
        self.special_count = self._tokenizer.num_special_tokens_to_add(is_pair=False)

    def count(self, texts: list[str]) -> list[int]:
        """Return how many tokens each text has, special tokens included."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch_fast(texts)]

    def tokenize(self, texts: list[str], *, truncate: bool) -> list[Tokenized]:
        """Return the ids of each text; raises TEXT_TOO_LONG where one is too long and ``truncate`` is off."""
        tokenized = []
        for position, encoding in enumerate(self._tokenizer.encode_batch_fast(texts)):
            ids = encoding.ids
            is_long = len(ids) > self._max_length
            if is_long and not truncate:
                raise Failure(
                    StatusCode.INVALID_ARGUMENT,
                    ErrorReason.ERROR_REASON_TEXT_TOO_LONG,
                    f"texts[{position}] has {len(ids)} tokens; the model reads {self._max_length}; ask for truncation or cut the text",
                    {"index": str(position), "tokens": str(len(ids)), "limit": str(self._max_length)},
                    field="texts",
                )
            # The special tokens at the end stay.
            tail = self.special_count // 2
            tokenized.append(Tokenized(ids[: self._max_length - tail] + ids[len(ids) - tail :] if is_long else ids, is_long))
        return tokenized
