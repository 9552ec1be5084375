"""Cuts work into batches of texts of like length, so that little is computed for padding."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.embedding.tokens import Tokenized


def batches(texts: list[Tokenized], budget: int) -> list[list[int]]:
    """Return batches of positions in ``texts``, sorted by length, each of at most ``budget`` tokens with padding.

    A single text over the budget is a batch of its own.
    """
    order = sorted(range(len(texts)), key=lambda position: len(texts[position].ids), reverse=True)
    made: list[list[int]] = []
    longest = 0
    for position in order:
        # The first text of a batch is its longest.
        if not made or longest * (len(made[-1]) + 1) > budget:
            made.append([])
            longest = len(texts[position].ids)
        made[-1].append(position)
    return made


def arrays(texts: Sequence[Tokenized]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the inputs of one batch: ids, mask and types [texts, longest], int64, padded with 0."""
    shape = (len(texts), max(len(text.ids) for text in texts))
    ids, mask, types = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text.ids)] = text.ids
        mask[row, : len(text.ids)] = 1
        if text.types is not None:
            types[row, : len(text.ids)] = text.types
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def padding(texts: list[Tokenized], batch: list[int]) -> tuple[int, int]:
    """Return how many tokens of a batch are read, and how much padding is computed beside them."""
    read = sum(len(texts[position].ids) for position in batch)
    return read, len(batch) * max(len(texts[position].ids) for position in batch) - read
