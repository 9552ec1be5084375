"""Cuts work into batches of texts of like length, so that little is computed for padding."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from services.embedding.inference.tokens import Tokenized


def batches(texts: Sequence[Tokenized], budget: int) -> list[list[int]]:
    """Return batches of positions in ``texts``, sorted by length, each of at most ``budget`` tokens with padding.

    A single text over the budget is a batch of its own.
    """
    order = sorted(range(len(texts)), key=lambda position: len(texts[position].ids), reverse=True)
    result: list[list[int]] = []
    longest = 0
    for position in order:
        # The first text of a batch is its longest.
        if not result or longest * (len(result[-1]) + 1) > budget:
            result.append([])
            longest = len(texts[position].ids)
        result[-1].append(position)
    return result


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


def token_count(texts: Sequence[Tokenized]) -> int:
    """Return how many tokens are read, padding left out."""
    return sum(len(text.ids) for text in texts)


def padded_count(texts: Sequence[Tokenized]) -> int:
    """Return how many tokens one batch of ``texts`` computes, padding included."""
    return len(texts) * max(len(text.ids) for text in texts)
