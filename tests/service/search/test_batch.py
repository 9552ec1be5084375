"""Many searches in one call."""

import asyncio
import uuid
from collections.abc import Awaitable

import pytest

from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1.filter_pb2 import SearchFilter
from semantik.search.v1.search_service_pb2 import SEARCH_MODE_KEYWORD, BatchSearchRequest, SearchRequest
from tests.conftest import Person
from tests.service.search.conftest import Fill

_WORDS = ["lemon", "granite", "violin", "harbour", "falcon", "thunder"]


async def _refused(call: Awaitable[object]) -> tuple[str, str]:
    with pytest.raises(SemantikError) as refusal:
        await call
    return refusal.value.code, refusal.value.reason


async def test_answers_come_in_the_order_of_the_searches(ada: Person, collection: Collection, fill: Fill) -> None:
    """Fifty of them, each as if it were alone."""
    await fill(ada, collection, [f"only the {word} is here" for word in _WORDS])
    searches = [SearchRequest(query=word, mode=SEARCH_MODE_KEYWORD) for word in (_WORDS * 9)[:50]]
    answers = await ada.client.search.batch(searches, [collection.id])
    assert [[hit.text for hit in answer.hits] for answer in answers] == [[f"only the {search.query} is here"] for search in searches]


async def test_searches_share_collections_and_filter_unless_they_have_their_own(ada: Person, collection: Collection, fill: Fill) -> None:
    """A search that names collections or conditions keeps them."""
    other = await ada.client.collections.create("other")
    first, second = await fill(ada, collection, ["a whale", "another whale"])
    [third] = await fill(ada, other, ["a third whale"])
    request = BatchSearchRequest(
        searches=[
            SearchRequest(query="whale"),
            SearchRequest(query="whale", filter=SearchFilter(document_ids=[second])),
            SearchRequest(query="whale", collection_ids=[other.id], filter=SearchFilter()),
        ],
        collection_ids=[collection.id],
        filter=SearchFilter(document_ids=[first]),
    )
    answers = (await ada.client.session.call(ada.client.search._stub.BatchSearch, request)).responses
    assert [[hit.document_id for hit in answer.hits] for answer in answers] == [[first], [second], [third]]


@pytest.mark.abuse(7)
async def test_one_that_may_not_be_read_fails_the_batch(ada: Person, stranger: Person, collection: Collection, fill: Fill) -> None:
    """As an id that never was, whichever search names it."""
    own = await stranger.client.collections.create("own")
    await fill(ada, collection, ["a whale"])
    for foreign in (collection.id, str(uuid.uuid4())):
        searches = [SearchRequest(query="whale", collection_ids=[each]) for each in (own.id, foreign)]
        assert await _refused(stranger.client.search.batch(searches)) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
        assert await _refused(stranger.client.search.batch(["whale"], [foreign])) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")


@pytest.mark.abuse(15, 16, 38)
async def test_a_batch_has_limits(ada: Person, collection: Collection) -> None:
    """Of searches, of passages together, and those of each search."""
    for searches in (
        [],
        ["whale"] * 51,
        ["whale", " "],
        [SearchRequest(query="whale", limit=100)] * 21,
        [SearchRequest(query="whale", limit=50, neighbours=5)] * 4,
        [SearchRequest(query="whale", limit=101)],
    ):
        assert await _refused(ada.client.search.batch(searches, [collection.id])) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


@pytest.mark.abuse(30)
async def test_a_batch_ends_with_its_deadline(ada: Person, collection: Collection, fill: Fill) -> None:
    """And leaves nothing behind that keeps the next search waiting."""
    await fill(ada, collection, ["a whale"])
    searches = [SearchRequest(query=f"{'whale and sea ' * 400} {number}") for number in range(50)]
    request = BatchSearchRequest(searches=searches, collection_ids=[collection.id])
    with pytest.raises(SemantikError) as refusal:
        await ada.client.session.call(ada.client.search._stub.BatchSearch, request, timeout=0.2)
    assert refusal.value.code == "DEADLINE_EXCEEDED"
    async with asyncio.timeout(2):
        assert (await ada.client.search("whale", [collection.id])).hits
