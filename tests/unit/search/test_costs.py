"""What requests cost beside each other."""

import pytest

from semantik.search.v1.neighbours_pb2 import ChunkReference
from semantik.search.v1.rerank_pb2 import Rerank
from semantik.search.v1.search_service_pb2 import BatchSearchRequest, FindSimilarRequest, SearchRequest
from semantik.search.v1.suggestion_pb2 import SuggestQueriesRequest
from services.search.costs import SHARE, SMALL, cost

_ID = "0199aaaa-0000-7000-8000-000000000001"
_SHORT = SearchRequest(collection_ids=[_ID], query="how do whales breathe under water?")


@pytest.mark.parametrize(
    ("request_", "is_small", "is_alone"),
    [
        (_SHORT, True, False),
        (FindSimilarRequest(collection_ids=[_ID], document_id=_ID), True, False),
        (FindSimilarRequest(collection_ids=[_ID], chunk=ChunkReference(document_id=_ID)), True, False),
        (SuggestQueriesRequest(prefix="wha"), True, False),
        (SuggestQueriesRequest(prefix="wha", collection_ids=[_ID]), True, False),
        (SearchRequest(collection_ids=[_ID], query="x" * 1000), False, False),
        (SearchRequest(query="whale"), False, False),
        (SearchRequest(collection_ids=[_ID], query="whale", neighbours=5, limit=100), False, True),
        (SearchRequest(collection_ids=[_ID], query="whale", section_neighbours=True), False, False),
        (SearchRequest(collection_ids=[_ID], query="whale", section_neighbours=True, limit=100), False, True),
        (SearchRequest(collection_ids=[_ID], query="whale", rerank=Rerank()), False, True),
        (SearchRequest(collection_ids=[_ID], query="whale", rerank=Rerank(candidate_count=1)), False, True),
        (SearchRequest(collection_ids=[_ID], query="whale", rerank=Rerank(candidate_count=1), limit=1), False, False),
        (BatchSearchRequest(searches=[SearchRequest(query="whale")] * 50, collection_ids=[_ID]), False, False),
        (BatchSearchRequest(searches=[SearchRequest(query="whale")] * 50), False, True),
        (BatchSearchRequest(searches=[_SHORT] * 50), False, True),
    ],
)
def test_what_costs_little_waits_for_nothing_and_what_costs_much_runs_alone(request_: object, is_small: bool, is_alone: bool) -> None:
    """Of the requests of one user."""
    assert (cost(request_) <= SMALL, cost(request_) > SHARE) == (is_small, is_alone)


def test_a_search_of_all_costs_what_all_are() -> None:
    """Known from the last one: whoever may read three collections need not wait as if there were a hundred."""
    whole = SearchRequest(query="whale")
    named = SearchRequest(query="whale", collection_ids=[_ID] * 3)
    assert cost(whole, 3) < cost(named) < cost(whole)
    assert cost(whole, 3) <= SMALL
    assert cost(BatchSearchRequest(searches=[whole] * 7), 3) == 7 * cost(whole, 3)


def test_a_batch_costs_what_its_searches_cost() -> None:
    """However they are put together."""
    assert cost(BatchSearchRequest(searches=[_SHORT] * 7)) == 7 * cost(_SHORT)
