"""What people note on documents is shown, found and counted, and changes without reading them again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from semantik.client import SemantikError
from semantik.client.metadata import Metadata
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1.filter_pb2 import Condition, Facet, MetadataTest, NumberRange
from tests.conftest import Person, Publish

_NOTED: dict[str, Metadata] = {
    "a.txt": {"author": "Ada Lovelace", "year": 1843, "draft": False, "read": datetime(2026, 1, 31, 12, tzinfo=UTC)},
    "b.txt": {"author": "Grace Hopper", "year": 1952.5, "draft": True, "read": datetime(2026, 3, 1, tzinfo=UTC)},
    "c.txt": {"author": "Ada Lovelace", "year": 2020, "version": "2020"},
    "d.txt": {},
}


@pytest.fixture
async def noted(ada: Person, collection: Collection, shelf: Path) -> dict[str, str]:
    """Four documents with metadata; their ids by path."""
    ids = {}
    for name, metadata in _NOTED.items():
        (shelf / name).write_text(f"The treasure of {name} lies under an oak.")
        document, operation = await ada.client.documents.upload(collection.id, shelf / name, metadata=metadata)
        assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
        ids[name] = document.id
    return ids


async def _found(ada: Person, collection: Collection, filter_text: str) -> list[str]:
    return sorted(hit.path for hit in (await ada.client.search("treasure", [collection.id], filter_text=filter_text)).hits)


_FILTERS = {
    'meta.author:"ada lovelace"': "ac",
    'meta.author:"ADA Lovelace" meta.year>1900': "c",
    "meta.author:ada": "",
    "meta.year:1843": "a",
    "meta.year>=1843 meta.year<1952.5": "a",
    "meta.year>1843": "bc",
    "meta.year<=1952.5": "ab",
    "meta.draft:true": "b",
    "meta.draft:false": "a",
    "-meta.draft:true": "acd",
    "meta.read:2026-01": "a",
    "meta.read>2026-01": "b",
    "meta.read>=2026": "ab",
    "meta.read<2026-01-31T12:00:00Z": "",
    "meta.version:2020": "c",
    "meta.version>2000": "",
    "meta.year:2020,1843": "ac",
    "meta.nothing:1": "",
    "-meta.nothing:1": "abcd",
    "meta.nothing>1 OR meta.year>2000": "c",
    "META.Year:2020": "c",
}


async def test_documents_are_found_by_what_is_noted_on_them(ada: Person, collection: Collection, noted: dict[str, str]) -> None:
    """As text without case, number, yes or no, or time; what has no such value does not meet a test."""
    answers = await asyncio.gather(*(_found(ada, collection, text) for text in _FILTERS))
    assert {text: "".join(path[0] for path in answer) for text, answer in zip(_FILTERS, answers, strict=True)} == _FILTERS
    condition = Condition(metadata=MetadataTest(key="year", number=NumberRange(above=1843, max=2020)))
    hits = (await ada.client.search("treasure", [collection.id], condition=condition)).hits
    assert sorted(hit.path for hit in hits) == ["b.txt", "c.txt"]
    [hit] = [hit for hit in hits if hit.path == "b.txt"]
    assert hit.metadata == (await ada.client.documents.get(noted["b.txt"])).metadata
    assert hit.metadata["year"].number_value == 1952.5


async def test_passages_are_counted_by_what_is_noted(ada: Person, collection: Collection, noted: dict[str, str]) -> None:
    """After the other counts, key by key; a key that nothing has counts nothing."""
    wanted = ["meta.author", "ext", "meta.year", "meta.draft", "meta.none"]
    answer = await ada.client.search("treasure", [collection.id], facets=wanted)
    assert [(facet.kind, facet.key, {each.value: each.count for each in facet.values}) for facet in answer.facets] == [
        (Facet.KIND_EXTENSION, "", {"txt": len(noted)}),
        (Facet.KIND_METADATA, "author", {"ada lovelace": 2, "grace hopper": 1}),
        (Facet.KIND_METADATA, "year", {"1843": 1, "1952.5": 1, "2020": 1}),
        (Facet.KIND_METADATA, "draft", {"false": 1, "true": 1}),
        (Facet.KIND_METADATA, "none", {}),
    ]


async def test_a_change_reaches_searches_without_reading_again(
    ada: Person, collection: Collection, noted: dict[str, str], shelf: Path
) -> None:
    """The document shows it at once, and it survives new content and a second reading."""
    document, operation = await ada.client.documents.update(
        noted["a.txt"], metadata={"author": "Ada, Countess"}, metadata_entries=["year=1844", 'title="42"'], removed_keys=["draft", "none"]
    )
    assert (document.metadata["year"].number_value, document.metadata["title"].string_value) == (1844, "42")
    ended = await ada.client.operations.wait(operation.id)
    assert (ended.state, ended.progress.chunks, ended.progress.tokens) == (Operation.STATE_SUCCEEDED, 0, 0)
    assert await _found(ada, collection, "meta.year:1844 meta.title:42") == ["a.txt"]
    assert await _found(ada, collection, "meta.draft:false OR meta.year:1843") == []
    _, nothing = await ada.client.documents.update(noted["a.txt"], metadata={"year": 1844})
    assert nothing.id == ""

    (shelf / "a.txt").write_text("Another treasure.")
    document, operation = await ada.client.documents.upload(collection.id, shelf / "a.txt", metadata={"year": 1845})
    await ada.client.operations.wait(operation.id)
    hits = (await ada.client.search("treasure", [collection.id], filter_text='meta.year:1845 meta.author:"ada, countess"')).hits
    assert [hit.text for hit in hits] == ["Another treasure."]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metadata": {"year": "late"}}, "the values of year are a number each in this collection, not a text"),
        ({"metadata_entries": ["year=late"]}, "the values of year are numbers in this collection, 'late' is none"),
        ({"metadata_entries": ["Year=1"]}, "'Year=1' is not key=value; a key has up to 40 letters a-z, digits and _, a letter first"),
        ({"metadata_entries": ["a=\u202eb"]}, "the value of a"),
        ({"metadata": {f"key{number}": number for number in range(64)}}, "a collection has at most 64 keys"),
        ({"metadata": {"Year": 1}}, "metadata"),
        ({"metadata": {"a": "x" * 501}}, "metadata"),
        ({"metadata": {"a": ""}}, "metadata"),
        ({"metadata": {"a": float("nan")}}, "metadata"),
        ({"removed_keys": ["a b"]}, "removed_keys"),
    ],
)
async def test_what_a_key_does_not_take_is_refused(ada: Person, noted: dict[str, str], change: dict[str, Any], message: str) -> None:
    """And nothing of the change is done."""
    before = await ada.client.documents.get(noted["a.txt"])
    with pytest.raises(SemantikError) as refused:
        await ada.client.documents.update(noted["a.txt"], **change)
    assert (refused.value.reason, message in refused.value.message) == ("INVALID_REQUEST", True), refused.value.message
    assert await ada.client.documents.get(noted["a.txt"]) == before


async def test_noting_is_for_writers(
    ada: Person, stranger: Person, collection: Collection, noted: dict[str, str], http: httpx.AsyncClient, publish: Publish
) -> None:
    """A reader is told so, a stranger that there is no such document; JSON does as gRPC does."""
    path, body = f"/v1/documents/{noted['d.txt']}", {"metadata": {"year": {"numberValue": 7}}}
    assert (await http.patch(path, json=body, headers=stranger.headers)).status_code == httpx.codes.NOT_FOUND
    await publish(ada, collection.id)
    assert (await http.patch(path, json=body, headers=stranger.headers)).status_code == httpx.codes.FORBIDDEN
    answer = (await http.patch(path, json=body, headers=ada.headers)).json()
    assert answer["document"]["metadata"] == {"year": {"numberValue": 7}}
    await ada.client.operations.wait(answer["operation"]["id"])
    search = {"query": "treasure", "collectionIds": [collection.id], "filterText": "meta.year:7", "metadataFacets": ["year"]}
    found = (await http.post("/v1/search", json=search, headers=stranger.headers)).json()
    assert [hit["metadata"] for hit in found["hits"]] == [body["metadata"]]
    upload = await http.post(
        f"/v1/collections/{collection.id}/documents:upload",
        params={"name": "e.txt", "metadata_entries": ["year=8", "author=Ada"]},
        content=b"One more treasure.",
        headers={**ada.headers, "content-type": "text/plain"},
    )
    assert upload.json()["document"]["metadata"] == {"author": {"stringValue": "Ada"}, "year": {"numberValue": 8}}


async def test_changes_during_indexing_are_not_lost(ada: Person, collection: Collection, shelf: Path) -> None:
    """Whatever the worker had read of the document before."""
    (shelf / "long.txt").write_text("A treasure lies under an oak. " * 3000)
    document, operation = await ada.client.documents.upload(collection.id, shelf / "long.txt", metadata={"turn": 0})
    changes = [await ada.client.documents.update(document.id, metadata={"turn": turn}) for turn in range(1, 20)]
    for each in dict.fromkeys([operation.id, *(change.id for _, change in changes)]):
        await ada.client.operations.wait(each)
    assert await _found(ada, collection, "meta.turn:19") != []
    assert await _found(ada, collection, "meta.turn<19") == []
