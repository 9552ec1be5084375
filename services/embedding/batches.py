"""Cuts work into batches of texts of like length, so that little is computed for padding."""

from collections.abc import Iterable

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


def arrays(texts: Iterable[Tokenized]) -> dict[str, npt.NDArray[np.int64]]:
    """Return the model's inputs for one batch: ids and mask [texts, longest], int64, padded with 0."""
    ids = [text.ids for text in texts]
    shape = (len(ids), max(len(each) for each in ids))
    padded, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, each in enumerate(ids):
        padded[row, : len(each)] = each
        mask[row, : len(each)] = 1
    return {"input_ids": padded, "attention_mask": mask}


def padding_waste(texts: list[Tokenized], made: list[list[int]]) -> float:
    """Return the share of computed tokens that were padding."""
    useful = sum(len(text.ids) for text in texts)
    computed = sum(len(batch) * max(len(texts[position].ids) for position in batch) for batch in made)
    return 1 - useful / computed if computed else 0.0
