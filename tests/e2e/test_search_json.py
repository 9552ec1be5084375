"""A search as JSON: filters as messages and as text, counts, pages, and the place of an error."""

from pathlib import Path

import httpx
import pytest

from semantik.collection.v1.collection_pb2 import Collection
from tests.conftest import Person


@pytest.fixture
async def indexed(ada: Person, collection: Collection, shelf: Path) -> Collection:
    """A collection with three documents in two folders."""
    for name, text in (("reports/plan.md", "# The apple plan"), ("reports/draft.txt", "An apple draft"), ("notes/pie.txt", "Apple pie")):
        (shelf / name).parent.mkdir(exist_ok=True)
        (shelf / name).write_text(text)
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    return collection


async def test_filters_are_messages_or_text(http: httpx.AsyncClient, ada: Person, indexed: Collection) -> None:
    """The same documents for both; times and sizes are written as JSON writes them."""
    in_reports = {"pathPrefix": "Reports/"}
    since = {"modifyTime": {"startTime": "2020-01-01T00:00:00Z"}}
    for condition, text, expected in (
        ({"allOf": {"conditions": [in_reports, {"noneOf": {"conditions": [{"text": "draft"}]}}]}}, "path:reports/ -draft", {"plan.md"}),
        ({"anyOf": {"conditions": [{"extension": "md"}, {"nameContains": "PIE"}]}}, "ext:md OR name:pie", {"plan.md", "pie.txt"}),
        ({"allOf": {"conditions": [since, {"size": {"maxBytes": "9"}}]}}, "modified>=2020 size<=9", {"pie.txt"}),
        ({"mimeType": "text/plain"}, "mime:text/plain", {"draft.txt", "pie.txt"}),
    ):
        for asked in ({"filter": {"condition": condition}}, {"filterText": text}):
            request = {"collectionIds": [indexed.id], "query": "apple", **asked}
            answer = await http.post("/v1/search", json=request, headers=ada.headers)
            assert {hit["name"] for hit in answer.json()["hits"]} == expected, asked


async def test_counts_and_pages(http: httpx.AsyncClient, ada: Person, indexed: Collection) -> None:
    """Counts come with the first page, and the last page has no token."""
    request = {"collectionIds": [indexed.id], "query": "apple", "limit": 2, "facets": ["KIND_EXTENSION", "KIND_FOLDER"]}
    first = (await http.post("/v1/search", json=request, headers=ada.headers)).json()
    counts = {facet["kind"]: {value["value"]: value["count"] for value in facet["values"]} for facet in first["facets"]}
    assert counts == {"KIND_EXTENSION": {"txt": "2", "md": "1"}, "KIND_FOLDER": {"reports": "2", "notes": "1"}}
    second = (await http.post("/v1/search", json={**request, "pageToken": first["nextPageToken"]}, headers=ada.headers)).json()
    assert (len(first["hits"]), len(second["hits"]), second["facets"], second["nextPageToken"]) == (2, 1, [], "")
    assert len({hit["documentId"] for hit in first["hits"] + second["hits"]}) == 3


async def test_similar_hits_say_how_similar(http: httpx.AsyncClient, ada: Person, indexed: Collection) -> None:
    """A hit that was found by words alone does not."""
    request = {"collectionIds": [indexed.id], "query": "apple pie", "minSimilarity": 0.5}
    answer = (await http.post("/v1/search", json=request, headers=ada.headers)).json()
    assert answer["hits"][0]["name"] == "pie.txt"
    assert min(hit["similarity"] for hit in answer["hits"]) >= 0.5
    request = {"collectionIds": [indexed.id], "query": "apple pie", "mode": "SEARCH_MODE_KEYWORD"}
    answer = (await http.post("/v1/search", json=request, headers=ada.headers)).json()
    assert {"similarity" in hit for hit in answer["hits"]} == {False}


async def test_an_error_in_a_filter_has_a_place(http: httpx.AsyncClient, ada: Person, indexed: Collection) -> None:
    """In characters, for an input field to mark it."""
    request = {"collectionIds": [indexed.id], "query": "apple", "filterText": "größe 🍎x colour:red"}
    answer = await http.post("/v1/search", json=request, headers=ada.headers)
    info = answer.json()["details"][0]
    assert (answer.status_code, info["reason"]) == (400, "INVALID_REQUEST")
    assert info["metadata"] == {"field": "filter_text", "rule": "filter_text.syntax", "position": "9"}
