"""The configuration that an evaluation searches with: a search without its query."""

from google.protobuf import json_format

from libs.rpc.errors import invalid
from libs.rpc.validation import check
from semantik.search.v1.search_service_pb2 import SearchRequest
from services.search.stages.request import plan

_OWN = ("query", "collection_ids", "limit", "page_token", "facets", "explain", "neighbours", "section_neighbours")
_DEFAULT_CUTOFFS = (10, 100)


def checked(search: SearchRequest) -> SearchRequest:
    """Return the configuration; raises INVALID_REQUEST for what no search may have, and for what the evaluation sets itself."""
    given = {field.name for field, _ in search.ListFields()}
    for name in _OWN:
        if name in given:
            raise invalid(f"search.{name}", "is set by the evaluation itself")
    asked = SearchRequest()
    asked.CopyFrom(search)
    asked.query = "any"
    check(asked, "search")
    plan(asked, (), 0)
    return search


def cutoffs(given: object) -> list[int]:
    return sorted(given) if given else list(_DEFAULT_CUTOFFS)  # type: ignore[call-overload]


def request(stored: dict[str, object], collection_id: str, text: str, limit: int) -> SearchRequest:
    """Return the search for one query."""
    search = json_format.ParseDict(stored, SearchRequest())
    search.query, search.limit = text, limit
    search.collection_ids.append(collection_id)
    if not search.HasField("max_hits_per_document"):
        search.max_hits_per_document = 1
    return search
