"""The passages around a hit."""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode

from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_pb2 import DocumentVersion
from semantik.search.v1.search_service_pb2 import SearchRequest
from semantik.search.v1.search_warning_pb2 import SearchWarning
from tests.conftest import Person
from tests.service.search.conftest import Fill, MakeChunk, Place

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub


@pytest.fixture
def put(collection: Collection, ada: Person, place: Place, chunk: MakeChunk, index: "IndexInternalServiceAsyncStub") -> Fill:
    """Put the passages of one document into the collection's index."""

    async def document(texts: list[str], document_id: str = "", version: int = 1, sections: Sequence[str] = ()) -> list[str]:
        name = (await place(ada, collection)).index_name
        document_id = document_id or str(uuid.uuid4())
        await index.CreateIndex(messages.CreateIndexRequest(index_name=name, dimension=384))
        chunks = [
            chunk(document_id, ordinal, [1.0] * 384, text=text, content_version=version, section=heading)
            for ordinal, (text, heading) in enumerate(zip(texts, sections or [""] * len(texts), strict=True))
        ]
        await index.UpsertChunks(messages.UpsertChunksRequest(index_name=name, fence=1, chunks=chunks))
        published = [DocumentVersion(document_id=document_id, content_version=version)]
        await index.PublishDocuments(messages.PublishDocumentsRequest(index_name=name, fence=1, documents=published))
        return [document_id]

    return document


@pytest.mark.parametrize(
    ("word", "reach", "before", "after"),
    [
        ("three", 1, ["passage two"], ["passage four"]),
        ("three", 2, ["passage one", "passage two"], ["passage four", "passage five"]),
        ("one", 2, [], ["passage two", "passage three"]),
        ("six", 5, ["passage one", "passage two", "passage three", "passage four", "passage five"], []),
        ("three", 0, [], []),
    ],
)
async def test_neighbours_come_in_the_documents_order(
    ada: Person, collection: Collection, put: Fill, word: str, reach: int, before: list[str], after: list[str]
) -> None:
    """As many as there are, of the same document alone."""
    await put([f"passage {number}" for number in ("one", "two", "three", "four", "five", "six")])
    await put([f"other {number}" for number in ("a", "b", "c", "d")])
    [hit] = (await ada.client.search(word, [collection.id], mode="keyword", neighbours=reach)).hits
    assert (list(hit.neighbours.before), list(hit.neighbours.after)) == (before, after)
    assert hit.HasField("neighbours") == (reach > 0)


async def test_neighbours_are_of_the_same_version_and_published(
    ada: Person, collection: Collection, put: Fill, place: Place, chunk: MakeChunk, index: "IndexInternalServiceAsyncStub"
) -> None:
    """What a newer version has written and not yet published stays unseen."""
    [document] = await put(["first passage", "second passage"])
    name = (await place(ada, collection)).index_name
    newer = [chunk(document, ordinal, [1.0] * 384, text=f"changed {ordinal}", content_version=2) for ordinal in range(3)]
    await index.UpsertChunks(messages.UpsertChunksRequest(index_name=name, fence=1, chunks=newer))
    [hit] = (await ada.client.search("first", [collection.id], mode="keyword", neighbours=2)).hits
    assert list(hit.neighbours.after) == ["second passage"]
    await put(["changed 0", "changed 1", "changed 2"], document, 2)
    [hit] = (await ada.client.search('"changed 1"', [collection.id], mode="keyword", neighbours=2)).hits
    assert (list(hit.neighbours.before), list(hit.neighbours.after)) == (["changed 0"], ["changed 2"])


async def test_neighbours_that_are_too_large_together_are_left_out_with_a_warning(ada: Person, collection: Collection, put: Fill) -> None:
    """Those of the best hits are there."""
    for _ in range(6):
        await put(["a" * 90_000, "b" * 90_000, "a whale", "c" * 90_000, "d" * 90_000])
    found = await ada.client.search("whale", [collection.id], mode="keyword", neighbours=2)
    assert [hit.HasField("neighbours") for hit in found.hits] == [True, True, False, False, False, False]
    assert [warning.kind for warning in found.warnings] == [SearchWarning.KIND_NEIGHBOURS_LIMITED]


@pytest.mark.parametrize(
    ("word", "before", "after"),
    [
        ("two", ["passage one"], ["passage three"]),
        ("four", [], []),
        ("five", [], ["passage six"]),
        ("six", ["passage five"], []),
    ],
)
async def test_a_section_comes_whole_and_alone(
    ada: Person, collection: Collection, put: Fill, word: str, before: list[str], after: list[str]
) -> None:
    """A later section of the same heading is another one."""
    names = ("one", "two", "three", "four", "five", "six")
    await put([f"passage {name}" for name in names], sections=["A", "A", "A", "B", "A", "A"])
    [hit] = (await ada.client.search(f'"passage {word}"', [collection.id], mode="keyword", section_neighbours=True)).hits
    assert (list(hit.neighbours.before), list(hit.neighbours.after)) == (before, after)
    assert hit.HasField("neighbours")


async def test_a_long_section_is_there_as_far_as_it_is_near(ada: Person, collection: Collection, put: Fill) -> None:
    """Twenty passages of it, on both sides or on one; so it is where there are no headings at all."""
    texts = [f"passage number{ordinal}" for ordinal in range(50)]
    await put(texts, sections=["A"] * 50)
    await put([text.replace("number", "plain") for text in texts])
    for word, middle, first, last in (("number", 25, 15, 36), ("number", 0, 0, 21), ("number", 48, 29, 50), ("plain", 25, 15, 36)):
        [hit] = (await ada.client.search(f"{word}{middle}", [collection.id], mode="keyword", section_neighbours=True)).hits
        around = [*hit.neighbours.before, hit.text, *hit.neighbours.after]
        assert around == [f"passage {word}{ordinal}" for ordinal in range(first, last)]


async def test_a_section_and_a_number_of_neighbours_exclude_each_other(ada: Person, collection: Collection, put: Fill) -> None:
    """In words that say which field is wrong; and a section counts against what a batch may ask for."""
    await put(["a whale"])
    with pytest.raises(SemantikError) as refusal:
        await ada.client.search("whale", [collection.id], neighbours=1, section_neighbours=True)
    assert (refusal.value.code, refusal.value.field) == (StatusCode.INVALID_ARGUMENT.name, "neighbours")
    searches = [SearchRequest(query="whale", limit=25, section_neighbours=True)]
    assert len(await ada.client.search.batch(searches, [collection.id])) == 1
    with pytest.raises(SemantikError) as refusal:
        await ada.client.search.batch(searches * 2, [collection.id])
    assert (refusal.value.code, refusal.value.field) == (StatusCode.INVALID_ARGUMENT.name, "searches")
