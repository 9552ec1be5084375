"""Embeddings against the reference implementation's, and what is computed for which texts."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.inference.engine import Embedded, Engine
from services.embedding.inference.lanes import Lane
from services.embedding.inference.tokens import Tokenized

_GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "embedding" / "all-minilm-l6-v2.json").read_text())
_TEXTS: list[str] = _GOLDEN["texts"]
_VECTORS = np.array([np.frombuffer(base64.b64decode(vector), "<f4") for vector in _GOLDEN["vectors"]])
_LEAST = {"FLOAT32": 0.9999, "INT8": 0.99}


async def _embed(engine: Engine, texts: list[str], precision: str = "INT8", *, truncate: bool = True) -> Embedded:
    return await engine.embed(engine.catalog.get(""), precision, texts, lane=Lane.BULK, is_query=False, truncate=truncate)


@pytest.mark.parametrize("precision", _LEAST)
@pytest.mark.parametrize("place", range(len(_TEXTS)))
async def test_a_text_alone_has_the_references_embedding(engine: Engine, precision: str, place: int) -> None:
    """Short, long and in other scripts."""
    [vector] = (await _embed(engine, [_TEXTS[place]], precision)).vectors
    assert vector @ _VECTORS[place] / np.linalg.norm(_VECTORS[place]) >= _LEAST[precision]


@pytest.mark.parametrize("precision", _LEAST)
async def test_a_vector_does_not_depend_on_its_neighbours(engine: Engine, precision: str) -> None:
    """Bit for bit the same, alone or in a call of many: indexing twice gives the same index."""
    together = (await _embed(engine, _TEXTS, precision)).vectors
    alone = [(await _embed(engine, [text], precision)).vectors[0] for text in _TEXTS]
    assert np.array_equal(together, np.array(alone))
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)


async def test_equal_texts_are_computed_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer has a row for each text all the same, in the order asked for."""
    session = (await engine.load(engine.catalog.get(""), "INT8")).session
    rows: list[int] = []
    run = session.run

    def counted(texts: Sequence[Tokenized]) -> npt.NDArray[np.float32]:
        rows.append(len(texts))
        return run(texts)

    monkeypatch.setattr(session, "run", counted)
    embedded = await _embed(engine, ["tide", "a much longer text about the moon", "tide", "tide"])
    assert sum(rows) == 2
    assert embedded.vectors.shape == (4, 384)
    assert np.array_equal(embedded.vectors[[2, 3]], embedded.vectors[[0, 0]])
    assert not np.array_equal(embedded.vectors[0], embedded.vectors[1])
    assert (embedded.token_counts[0], embedded.token_counts[2], embedded.truncated) == (3, 3, [])


async def test_a_long_text_is_cut_only_when_asked(engine: Engine) -> None:
    """Cut, its vector is that of what the model reads; not cut, the refusal names the text and both numbers."""
    exact, long = " ".join(["tide"] * 254), " ".join(["tide"] * 300)
    assert await engine.count(engine.catalog.get(""), [exact, long, "tide"]) == [256, 302, 3]
    embedded = await _embed(engine, ["tide", exact, long], "FLOAT32")
    assert (embedded.token_counts, embedded.truncated) == ([3, 256, 256], [2])
    assert np.allclose(embedded.vectors[1], embedded.vectors[2], atol=1e-6)
    with pytest.raises(Failure) as caught:
        await _embed(engine, ["tide", "tide", exact, long], truncate=False)
    assert (caught.value.code, caught.value.reason) == (StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_TEXT_TOO_LONG)
    assert caught.value.metadata == {"index": "3", "tokens": "302", "limit": "256"}
