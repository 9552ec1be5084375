"""A passage's way to the vector store and back."""

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from libs.rpc.errors import Failure
from semantik.search.v1.index_pb2 import Chunk
from services.search.passage import dense_vector, is_published, passage, points
from services.search.qdrant import q

_FULL = Chunk(
    document_id="00000000-0000-4000-8000-000000000001",
    source_id="00000000-0000-4000-8000-000000000002",
    content_version=3,
    ordinal=4,
    text="Größe\n🍎",
    start_offset=1 << 40,
    end_offset=7,
    path="a/b.txt",
    name="b.txt",
    mime_type="text/plain",
    language="de",
    size_bytes=9,
    modify_time=Timestamp(seconds=1_800_000_000, nanos=123_000_000),
    page=2,
    section="Heading",
    level=1,
    parent_ordinal=0,
)


@pytest.mark.parametrize("chunk", [_FULL, Chunk(document_id=_FULL.document_id, content_version=1, text="t")])
def test_a_passage_comes_back_as_it_was_written(chunk: Chunk) -> None:
    """Every field of the contract, set or not, besides the vector; unpublished."""
    vector = np.arange(1, 5, dtype="<f4")
    written = Chunk()
    written.CopyFrom(chunk)
    written.vector = vector.tobytes()
    [point] = points("index", [written])
    assert passage(point.payload) == chunk
    assert not is_published(point.payload)
    assert list(point.vectors.vectors.vectors["dense"].dense.data) == vector.tolist()


def test_a_passage_is_found_by_its_names_and_by_the_parts_of_compounds() -> None:
    """Which stand beside its text, each once."""
    chunk = Chunk(text="call getCloseMatches", name="readMe.md", path="docs/readMe.md", section="Getting started", vector=b"\0\0\x80?")
    [point] = points("index", [chunk])
    text, terms = point.payload["text"].list_value.values
    assert text.string_value == "call getCloseMatches"
    assert terms.string_value == "readme md getting started docs read me get close matches"


@pytest.mark.parametrize("size", [1, 31, 32, 384, 5000])
def test_a_vector_reaches_the_wire_as_a_list_would(size: int) -> None:
    """Whatever the length of its length."""
    numbers = np.random.default_rng(1).normal(size=size).astype("<f4")
    assert dense_vector(numbers.tobytes()) == q.DenseVector(data=numbers.tolist())


@pytest.mark.parametrize(
    "vectors",
    [[[1.0, float("nan")]], [[1.0, float("-inf")]], [[0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]], [[1.0], [1.0, 0.0]]],
)
def test_a_bad_vector_is_refused(vectors: list[list[float]]) -> None:
    """Also as one of several."""
    chunks = [Chunk(vector=np.asarray(vector, "<f4").tobytes()) for vector in vectors]
    with pytest.raises(Failure, match="vector"):
        points("index", chunks)
