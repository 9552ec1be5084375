"""Filters, as messages and as text: each finds what it says, alone and joined, in every mode."""

import random
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from libs.rpc.timestamps import timestamp
from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1.filter_pb2 import Condition, Conditions, MetadataTest, NumberRange, SizeRange, TimeRange
from tests.conftest import Person
from tests.service.search.conftest import SOURCE, Fill

OTHER_SOURCE = "0199aaaa-0000-7000-8000-000000000002"


def _time(year: int, month: int, day: int) -> Timestamp:
    moment = timestamp(datetime(year, month, day, tzinfo=UTC))
    assert moment is not None
    return moment


_DOCUMENTS: dict[str, tuple[str, dict[str, object]]] = {
    "plan": ("The whale plan", {"path": "Reports/2026/Plan.PDF", "name": "Plan.PDF", "mime_type": "application/pdf", "size_bytes": 20_000,
                                "modify_time": _time(2026, 3, 1), "language": "en"}),
    "draft": ("A whale draft", {"path": "reports/draft.md", "name": "draft.md", "mime_type": "text/markdown", "size_bytes": 500,
                                "modify_time": _time(2026, 1, 31), "language": "en"}),
    "old": ("Der Wal in whale", {"path": "reports-old/Größe.txt", "name": "Größe.txt", "mime_type": "text/plain", "size_bytes": 10_000,
                                 "modify_time": _time(2025, 12, 31), "language": "de", "source_id": OTHER_SOURCE}),
    "line": ("One whale of many drafts", {"path": "lists/whales.jsonl#7", "name": 'A "title", quoted', "mime_type": "application/json"}),
}  # fmt: skip
_ALL = set(_DOCUMENTS)


@pytest.fixture
async def documents(ada: Person, collection: Collection, fill: Fill) -> dict[str, str]:
    """The names of the documents by their ids."""
    return {(await fill(ada, collection, [text], **fields))[0]: name for name, (text, fields) in _DOCUMENTS.items()}


def _all(*conditions: Condition) -> Condition:
    return Condition(all_of=Conditions(conditions=conditions))


def _any(*conditions: Condition) -> Condition:
    return Condition(any_of=Conditions(conditions=conditions))


def _none(*conditions: Condition) -> Condition:
    return Condition(none_of=Conditions(conditions=conditions))


_PDF, _MARKDOWN = Condition(mime_type="application/pdf"), Condition(mime_type="text/markdown")
_CONDITIONS = {
    "folder": (Condition(path_prefix="reports/"), {"plan", "draft"}),
    "prefix": (Condition(path_prefix="REPORTS"), {"plan", "draft", "old"}),
    "absolute path": (Condition(path_prefix="/lists/"), {"line"}),
    "composed name": (Condition(name_contains="größe"), {"old"}),
    "decomposed name": (Condition(name_contains="gro\u0308SSE"), {"old"}),
    "title": (Condition(name_contains='"title", q'), {"line"}),
    "extension": (Condition(extension="pdf"), {"plan"}),
    "extension with a dot": (Condition(extension=".MD"), {"draft"}),
    "extension of a line": (Condition(extension="jsonl"), {"line"}),
    "type": (_PDF, {"plan"}),
    "family": (Condition(mime_type="Text/*"), {"draft", "old"}),
    "part of a type": (Condition(mime_type="json"), {"line"}),
    "source": (Condition(source_id=OTHER_SOURCE.upper()), {"old"}),
    "language": (Condition(language="DE"), {"old"}),
    "no language": (_none(_any(Condition(language="de"), Condition(language="en"))), {"line"}),
    "since": (Condition(modify_time=TimeRange(start_time=_time(2026, 1, 31))), {"plan", "draft"}),
    "before": (Condition(modify_time=TimeRange(end_time=_time(2026, 1, 31))), {"old"}),
    "between": (Condition(modify_time=TimeRange(start_time=_time(2026, 1, 1), end_time=_time(2026, 2, 1))), {"draft"}),
    "large": (Condition(size=SizeRange(min_bytes=10_000)), {"plan", "old"}),
    "small": (Condition(size=SizeRange(max_bytes=9_999)), {"draft"}),
    "word in any form": (Condition(text="drafting"), {"draft", "line"}),
    "word of a path": (Condition(text="lists"), {"line"}),
    "phrase": (Condition(text="the whale plan"), {"plan"}),
    "both": (_all(Condition(path_prefix="reports"), Condition(mime_type="text/*")), {"draft", "old"}),
    "either": (_any(_PDF, _MARKDOWN), {"plan", "draft"}),
    "none": (_none(_PDF, _MARKDOWN), {"old", "line"}),
    "not none": (_none(_none(_PDF)), {"plan"}),
    "deep": (_none(_any(_all(_none(_PDF), Condition(path_prefix="reports")), Condition(extension="jsonl"))), {"plan"}),
}


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_a_condition_keeps_what_it_says(ada: Person, collection: Collection, documents: dict[str, str], mode: str) -> None:
    """And its opposite the rest."""
    for name, (condition, expected) in _CONDITIONS.items():
        for chosen, kept in ((condition, expected), (_none(condition), _ALL - expected)):
            found = await ada.client.search("whale", [collection.id], mode=mode, condition=chosen)
            assert {documents[hit.document_id] for hit in found.hits} == kept, name


def _random(numbers: random.Random, levels: int) -> tuple[Condition, set[str]]:
    """Return a condition of at most so many levels, and the documents that meet it."""
    kind = numbers.choice(("test", "all", "any", "none"))
    if kind == "test" or levels == 1:
        return numbers.choice([each for each in _CONDITIONS.values() if each[0].WhichOneof("kind") not in ("all_of", "any_of", "none_of")])
    parts = [_random(numbers, levels - 1) for _ in range(numbers.randint(1, 3))]
    conditions, sets = [condition for condition, _ in parts], [documents for _, documents in parts]
    if kind == "all":
        return _all(*conditions), set.intersection(*sets)
    either = set.union(*sets)
    return (_any(*conditions), either) if kind == "any" else (_none(*conditions), _ALL - either)


async def test_conditions_join_as_sets_do(ada: Person, collection: Collection, documents: dict[str, str]) -> None:
    """However they are nested."""
    for seed in range(150):
        condition, expected = _random(random.Random(seed), 4)  # noqa: S311 - repeatable
        found = await ada.client.search("whale", [collection.id], mode="semantic", condition=condition)
        assert {documents[hit.document_id] for hit in found.hits} == expected, condition


_TEXTS = {
    "": _ALL,
    "  ": _ALL,
    "mime:pdf": {"plan"},
    "mime:pdf,markdown": {"plan", "draft"},
    "path:reports/": {"plan", "draft"},
    "path:reports/ -draft": {"plan"},
    "path:reports/ NOT draft": {"plan"},
    "draft": {"draft", "line"},
    '"whale draft"': {"draft"},
    '"whale plan" OR lang:de': {"plan", "old"},
    "mime:text/* modified<2026": {"old"},
    "mime:pdf OR mime:text/* lang:de": {"plan", "old"},
    "(mime:pdf OR mime:text/*) lang:de": {"old"},
    "-(mime:pdf OR mime:text/*)": {"line"},
    "modified:2026-01": {"draft"},
    "modified>2026-01": {"plan"},
    "modified<=2026-01-31": {"draft", "old"},
    "size>10kb": {"plan"},
    "size>=10kb": {"plan", "old"},
    "name:größe ext:txt": {"old"},
    'name:"\\"title\\", q"': {"line"},
    f"source:{OTHER_SOURCE}": {"old"},
    f"-source:{SOURCE}": {"old"},
}


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_a_text_keeps_what_it_says(ada: Person, collection: Collection, documents: dict[str, str], mode: str) -> None:
    """The same in every mode."""
    for text, expected in _TEXTS.items():
        found = await ada.client.search("whale", [collection.id], mode=mode, filter_text=text)
        assert {documents[hit.document_id] for hit in found.hits} == expected, text


async def test_all_filters_of_a_request_hold(ada: Person, collection: Collection, documents: dict[str, str]) -> None:
    """Those of the message, the text, and the phrases of the query."""
    document = next(each for each, name in documents.items() if name == "draft")
    for arguments, query, expected in (
        ({"mime_types": ["text/*", "json"]}, "whale", {"draft", "old", "line"}),
        ({"mime_types": ["text/*"], "condition": Condition(language="en")}, "whale", {"draft"}),
        ({"mime_types": ["text/*"], "filter_text": "-draft"}, "whale", {"old"}),
        ({"filter_text": f"document:{document},{SOURCE}"}, "whale", {"draft"}),
        ({"filter_text": "lang:en"}, '"whale plan"', {"plan"}),
        ({"document_ids": [document], "filter_text": "mime:pdf"}, "whale", set()),
    ):
        found = await ada.client.search(query, [collection.id], **arguments)
        assert {documents[hit.document_id] for hit in found.hits} == expected, arguments


_LEAF = Condition(language="de")


def _deep(levels: int) -> Condition:
    condition = _LEAF
    for _ in range(levels - 1):
        condition = _none(condition)
    return condition


@pytest.mark.abuse(18)
@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (_all(*[_LEAF] * 100), "filter.condition: must have at most 100 conditions"),
        (_any(*[_all(*[_LEAF] * 10)] * 10), "filter.condition: must have at most 100 conditions"),
        (_all(*[_LEAF] * 10_000), "filter.condition: must have at most 100 conditions"),
        (_deep(9), "filter.condition: must have at most 100 conditions and 8 levels"),
        (_deep(45), "filter.condition: must have at most 100 conditions and 8 levels"),
        (Condition(), "filter.condition.kind: "),
        (_all(), "filter.condition.all_of.conditions: must not be empty"),
        (_all(_LEAF, Condition()), "filter.condition.all_of.conditions.kind: "),
        (Condition(language=""), "filter.condition.language: must not be empty"),
        (_none(Condition(name_contains="x" * 201)), "filter.condition.none_of.conditions.name_contains: "),
        (Condition(source_id="x"), "filter.condition.source_id: must be a valid UUID"),
        (Condition(text="the ?"), "filter.condition: 'the ?' has no word"),
        (Condition(metadata=MetadataTest(key="a.b", bool_value=True)), "filter.condition.metadata.key: must be a key of up to 40 letters"),
        (Condition(metadata=MetadataTest(key="a")), "filter.condition.metadata.test: "),
        (Condition(metadata=MetadataTest(key="a", string_value="")), "filter.condition.metadata.string_value: must not be empty"),
        (Condition(metadata=MetadataTest(key="a", number=NumberRange())), "filter.condition.metadata.number: must have an end"),
        (Condition(metadata=MetadataTest(key="a", number=NumberRange(min=float("nan")))), "filter.condition.metadata.number.min: "),
        (Condition(metadata=MetadataTest(key="a", time=TimeRange())), "filter.condition.metadata.time: must have a start or an end"),
        (
            _any(Condition(metadata=MetadataTest(key="a", time=TimeRange(end_time=Timestamp(seconds=10**15))))),
            "filter.condition: end_time must be a time",
        ),
        (Condition(size=SizeRange()), "filter.condition.size: must have a minimum or a maximum"),
        (Condition(size=SizeRange(min_bytes=-1)), "filter.condition.size.min_bytes: "),
        (Condition(modify_time=TimeRange()), "filter.condition.modify_time: must have a start or an end"),
        (Condition(modify_time=TimeRange(end_time=Timestamp(seconds=10**15))), "filter.condition: end_time must be a time"),
        (_any(Condition(modify_time=TimeRange(end_time=Timestamp(nanos=-1)))), "filter.condition: end_time must be a time"),
    ],
)
async def test_a_condition_out_of_bounds_is_refused(ada: Person, collection: Collection, condition: Condition, message: str) -> None:
    """With the field at fault."""
    with pytest.raises(SemantikError) as refusal:
        await ada.client.search("whale", [collection.id], condition=condition)
    assert (refusal.value.code, refusal.value.reason) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    assert refusal.value.message.startswith(message)


async def test_a_condition_of_the_largest_size_is_taken(ada: Person, collection: Collection, documents: dict[str, str]) -> None:
    """100 conditions, and 8 levels."""
    for condition, expected in ((_any(*[_LEAF] * 99), {"old"}), (_deep(8), _ALL - {"old"}), (_deep(7), {"old"})):
        found = await ada.client.search("whale", [collection.id], condition=condition)
        assert {documents[hit.document_id] for hit in found.hits} == expected


async def test_a_text_that_does_not_parse_says_where(ada: Person, collection: Collection) -> None:
    """In the message and in the metadata."""
    with pytest.raises(SemantikError) as refusal:
        await ada.client.search("whale", [collection.id], filter_text="mime:pdf colour:red")
    assert (refusal.value.code, refusal.value.reason, refusal.value.field) == ("INVALID_ARGUMENT", "INVALID_REQUEST", "filter_text")
    assert refusal.value.metadata["position"] == "9"
    assert refusal.value.message.startswith("filter_text: there is no field 'colour'")
    assert refusal.value.message.endswith("(position 9)")
