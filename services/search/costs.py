"""What a request costs, in bytes of a question: by that the searches of one user are admitted beside each other."""

from typing import Any

from semantik.search.v1 import search_service_pb2 as messages
from semantik.search.v1.suggestion_pb2 import SuggestQueriesRequest
from services.search.collection_access import MOST_COLLECTIONS
from services.search.stages.request import DEFAULT_CANDIDATES, limit, neighbours

# What the requests of one user may cost together; one of at most an eighth waits for none.
SHARE = 2048
SMALL = SHARE // 8
# About 40 bytes of a question take a millisecond to embed; so long takes an index, and a passage under a cross-encoder 10 to 30 times.
_COLLECTION = 16
_CANDIDATE = 512
_NEIGHBOUR = 4
# Of an index that is asked for suggestions: its values are in memory, and nothing is embedded.
_COUNTED = 2


def cost(request: Any, readable: int = MOST_COLLECTIONS) -> int:
    """Return the cost of a request; of several searches, of all together. One that names no collection asks ``readable`` of them."""
    if isinstance(request, messages.BatchSearchRequest):
        shared = len(request.collection_ids) or readable
        return sum(_search(search, shared) for search in request.searches)
    if isinstance(request, messages.SearchRequest):
        return _search(request, readable)
    if isinstance(request, messages.FindSimilarRequest):
        return request.ByteSize() + _COLLECTION * (len(request.collection_ids) or readable)
    if isinstance(request, SuggestQueriesRequest):
        return request.ByteSize() + _COUNTED * (len(request.collection_ids) or readable)
    return int(request.ByteSize())


def _search(request: messages.SearchRequest, shared: int) -> int:
    total = request.ByteSize() + _COLLECTION * (len(request.collection_ids) or shared)
    if request.HasField("rerank"):
        count = request.rerank.candidate_count or DEFAULT_CANDIDATES
        total += _CANDIDATE * max(count, limit(request))
    return total + _NEIGHBOUR * neighbours(request) * limit(request)
