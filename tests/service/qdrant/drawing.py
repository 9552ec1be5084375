"""Generated passages, and searches whose filters have every shape that the contract allows."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from semantik.collection.v1.metadata_pb2 import MetadataValue
from semantik.search.v1 import filter_pb2 as filters
from semantik.search.v1.index_pb2 import Chunk, DocumentMetadata, DocumentVersion
from semantik.search.v1.search_service_pb2 import SearchMode, SearchRequest

SIZE = 4
# Each is its own stem.
WORDS = ("heat", "wing", "jet", "flow", "mach", "plasma", "7", "größe", "翼")
DOCUMENTS, SOURCES = ([str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}{number}")) for number in range(3)] for kind in ("document", "source"))
_PATHS = ("wing/jet.md", "Wing/Größe.PDF", "wing-flow/mach", "jet.txt", "翼/heat.md#7", "")
_NAMES = ("jet.md", "Größe.PDF", '7 "mach', "")
_MIME_TYPES = ("text/markdown", "text/plain", "application/pdf", "application/x-text", "")
_LANGUAGES = ("en", "de", "pt-br", "")
_KEYS = ("author", "year", "due", "missing")


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


_word = st.sampled_from(WORDS)
_numbers = st.sampled_from((-1.5, 0.0, 1.0, 7.0, 2026.0, 1e12))
_moments = st.one_of(
    st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)]),
    st.integers(-3, 3).map(lambda steps: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=steps)),
    st.integers(-40, 40).map(lambda days: datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=days)),
).map(_timestamp)
_texts = st.lists(st.tuples(_word, st.sampled_from((" ", ", ", ".\n", "-"))), min_size=1, max_size=9).map(
    lambda parts: "".join(word + mark for word, mark in parts)
)
_vectors = st.lists(st.integers(-2, 2), min_size=SIZE, max_size=SIZE).filter(any).map(lambda numbers: np.asarray(numbers, "<f4").tobytes())
_values = st.one_of(
    st.sampled_from(("heat", "Heat", "7", "true", "2026")).map(lambda text: MetadataValue(string_value=text)),
    _numbers.map(lambda number: MetadataValue(number_value=number)),
    st.booleans().map(lambda value: MetadataValue(bool_value=value)),
    _moments.map(lambda moment: MetadataValue(time_value=moment)),
)
_metadata = st.dictionaries(st.sampled_from(_KEYS[:-1]), _values, max_size=3)


@st.composite
def _chunk(draw: st.DrawFn) -> Chunk:
    return Chunk(
        document_id=draw(st.sampled_from(DOCUMENTS)),
        source_id=draw(st.sampled_from(SOURCES)),
        content_version=draw(st.integers(1, 3)),
        ordinal=draw(st.integers(0, 3)),
        text=draw(_texts),
        vector=draw(_vectors),
        path=draw(st.sampled_from(_PATHS)),
        name=draw(st.sampled_from(_NAMES)),
        mime_type=draw(st.sampled_from(_MIME_TYPES)),
        language=draw(st.sampled_from(_LANGUAGES)),
        size_bytes=draw(st.sampled_from((0, 1, 1000, 1 << 40))),
        modify_time=draw(st.none() | _moments),
        metadata=draw(_metadata),
    )


def _identity(chunk: Chunk) -> tuple[str, int, int]:
    return chunk.document_id, chunk.content_version, chunk.ordinal


CHUNKS = st.lists(_chunk(), min_size=1, max_size=14, unique_by=_identity)


def _range(kind: Any, values: st.SearchStrategy[Any], *names: str) -> st.SearchStrategy[Any]:
    bounds = st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=2)
    return bounds.map(lambda given: kind(**given))


_times = _range(filters.TimeRange, _moments, "start_time", "end_time")
_key = st.sampled_from(_KEYS)
_tests = st.one_of(
    st.builds(
        filters.MetadataTest, key=_key, string_value=st.sampled_from(("heat", "HEAT", "7", "true", "1", "2026-03-01T00:00:00Z", "none"))
    ),
    st.builds(filters.MetadataTest, key=_key, bool_value=st.booleans()),
    st.builds(filters.MetadataTest, key=_key, number=_range(filters.NumberRange, _numbers, "min", "max", "above", "below")),
    st.builds(filters.MetadataTest, key=_key, time=_times),
)
_phrases = st.lists(_word, min_size=1, max_size=3).map(" ".join)
_simple = st.one_of(
    st.builds(filters.Condition, path_prefix=st.sampled_from(("wing", "WING/", "/jet", "翼/", "gr", "wing/jet.md"))),
    st.builds(filters.Condition, name_contains=st.sampled_from(("jet", "GRÖSSE", "öß", '"', "."))),
    st.builds(filters.Condition, extension=st.sampled_from(("md", ".PDF", "txt", "none"))),
    st.builds(filters.Condition, mime_type=st.sampled_from(("text/*", "text/plain", "text", "PDF", "none/*"))),
    st.builds(filters.Condition, source_id=st.sampled_from(SOURCES)),
    st.builds(filters.Condition, document_id=st.sampled_from(DOCUMENTS)),
    st.builds(filters.Condition, language=st.sampled_from(("en", "PT-BR", "xx"))),
    st.builds(filters.Condition, modify_time=_times),
    st.builds(filters.Condition, size=_range(filters.SizeRange, st.sampled_from((0, 1, 999, 1000, 1 << 40)), "min_bytes", "max_bytes")),
    st.builds(filters.Condition, text=_phrases),
    st.builds(filters.Condition, metadata=_tests),
)


def _joined(conditions: st.SearchStrategy[filters.Condition]) -> st.SearchStrategy[filters.Condition]:
    several = st.lists(conditions, min_size=1, max_size=3).map(lambda each: filters.Conditions(conditions=each))
    return st.one_of(
        st.builds(filters.Condition, all_of=several),
        st.builds(filters.Condition, any_of=several),
        st.builds(filters.Condition, none_of=several),
    )


_conditions = st.recursive(_simple, _joined, max_leaves=6)
_filters = st.builds(
    filters.SearchFilter,
    document_ids=st.lists(st.sampled_from(DOCUMENTS), max_size=2),
    source_ids=st.lists(st.sampled_from(SOURCES), max_size=2),
    mime_types=st.lists(st.sampled_from(("text/*", "application/pdf", "text")), max_size=2),
    condition=st.none() | _conditions,
)
_queries = st.one_of(
    st.lists(_word, min_size=1, max_size=6).map(" ".join),
    st.tuples(_phrases, _word).map(lambda parts: f'"{parts[0]}" {parts[1]}'),
)
SEARCHES = st.builds(
    SearchRequest,
    query=_queries,
    mode=st.sampled_from([each for each in SearchMode.values() if each]),
    limit=st.sampled_from((1, 3, 50)),
    filter=_filters,
    min_similarity=st.none(),
    max_hits_per_document=st.none() | st.just(1),
)

_versions = st.builds(DocumentVersion, document_id=st.sampled_from(DOCUMENTS), content_version=st.integers(1, 3))
_several = st.lists(_versions, min_size=1, max_size=3, unique_by=lambda each: each.document_id)
_fence = st.integers(1, 3)
# Names of the methods of Indexes, with what they take after an index's name.
WRITES = st.one_of(
    st.tuples(st.just("upsert"), _fence, CHUNKS),
    st.tuples(st.just("upsert"), _fence, CHUNKS),
    st.tuples(st.just("publish"), _fence, _several),
    st.tuples(st.just("hide"), _several, st.just("")),
    st.tuples(st.just("hide"), st.just(()), st.sampled_from(SOURCES)),
    st.tuples(
        st.just("delete"),
        _fence,
        st.lists(st.sampled_from(DOCUMENTS), min_size=1, max_size=2),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    st.tuples(
        st.just("set_metadata"),
        _fence,
        st.lists(st.builds(DocumentMetadata, document_id=st.sampled_from(DOCUMENTS), metadata=_metadata), max_size=2),
    ),
    st.tuples(st.just("raise_fence"), _fence),
)
VECTORS = _vectors
