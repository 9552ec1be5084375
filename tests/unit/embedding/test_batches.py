"""How texts are put together for the model."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.embedding.inference.batches import arrays, batches, padded_count, token_count
from services.embedding.inference.tokens import Tokenized

_LENGTHS = st.lists(st.integers(2, 256), max_size=60)


def _texts(lengths: list[int]) -> list[Tokenized]:
    return [Tokenized([7] * length) for length in lengths]


@settings(deadline=None)
@given(_LENGTHS, st.integers(2, 1024))
def test_each_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    """Padding counts; only a text that is too long by itself goes over, alone."""
    cut = batches(_texts(lengths), budget)
    assert sorted(position for batch in cut for position in batch) == list(range(len(lengths)))
    for batch in cut:
        padded = len(batch) * max(lengths[position] for position in batch)
        assert padded <= budget or len(batch) == 1
    assert [lengths[position] for batch in cut for position in batch] == sorted(lengths, reverse=True)


def test_a_batch_is_padded_at_the_end_and_masked() -> None:
    """What is padding never counts."""
    texts = [Tokenized([101, 5, 102]), Tokenized([101, 102])]
    inputs = arrays(texts)
    assert inputs["input_ids"].tolist() == [[101, 5, 102], [101, 102, 0]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert inputs["token_type_ids"].tolist() == [[0, 0, 0], [0, 0, 0]]
    assert {values.dtype for values in inputs.values()} == {np.dtype(np.int64)}
    assert (token_count(texts), padded_count(texts), padded_count(texts[1:])) == (5, 6, 2)
