"""Points: written, changed, filtered, found and deleted through the official client."""

import uuid
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from tests.service.qdrant.conftest import SIZE

_PATHS = ["a/b", "a/B", "a", "ab/a/c", "Größe"]
_TEXTS = ["heat transfer in slabs", "wing flutter", "heat heat heat", "boundary layer", "the heat shield of a wing"]


def _point(number: int) -> q.PointStruct:
    vector = [0.0] * SIZE
    vector[number % SIZE] = 1.0
    vector[0] += 0.1 * number
    payload = {
        "group": "even" if number % 2 == 0 else "odd",
        "number": number,
        "weight": number / 2,
        "flag": number > 2,
        "moment": datetime(2026, 1, 1 + number, tzinfo=UTC).isoformat(),
        "text": _TEXTS[number],
        "path": _PATHS[number],
        "tags": ["all", f"t{number % 2}"],
        "nested": {"list": [number, "x", None, True, 1.5]},
    }
    if number == 4:
        payload["only"] = "here"
    return q.PointStruct(id=number + 1, vector={"dense": vector}, payload=payload)


@pytest.fixture
async def filled(client: AsyncQdrantClient, name: str) -> str:
    await client.upsert(name, [_point(number) for number in range(5)], wait=True)
    return name


def _field(key: str, **condition: object) -> q.FieldCondition:
    return q.FieldCondition.model_validate({"key": key, **condition})


_FILTERS = {
    "keyword": (q.Filter(must=[_field("group", match=q.MatchValue(value="even"))]), [1, 3, 5]),
    "any keyword": (q.Filter(must=[_field("group", match=q.MatchAny(any=["odd", "none"]))]), [2, 4]),
    "except": (q.Filter(must=[_field("group", match=q.MatchExcept.model_validate({"except": ["odd"]}))]), [1, 3, 5]),
    "integer": (q.Filter(must=[_field("number", match=q.MatchValue(value=1))]), [2]),
    "any integer": (q.Filter(must=[_field("number", match=q.MatchAny(any=[0, 4]))]), [1, 5]),
    "true": (q.Filter(must=[_field("flag", match=q.MatchValue(value=True))]), [4, 5]),
    "false": (q.Filter(must=[_field("flag", match=q.MatchValue(value=False))]), [1, 2, 3]),
    "text": (q.Filter(must=[_field("text", match=q.MatchText(text="HEAT wing"))]), [5]),
    "any word": (q.Filter(must=[_field("text", match=q.MatchTextAny(text_any="flutter layer"))]), [2, 4]),
    "phrase": (q.Filter(must=[_field("text", match=q.MatchPhrase(phrase="Heat TRANSFER"))]), [1]),
    "words apart": (q.Filter(must=[_field("text", match=q.MatchPhrase(phrase="transfer heat"))]), []),
    "no words": (q.Filter(must=[_field("text", match=q.MatchPhrase(phrase="!"))]), []),
    "prefix": (q.Filter(must=[_field("path", match=q.MatchPrefix(prefix="a/"))]), [1, 2]),
    "long prefix": (q.Filter(must=[_field("path", match=q.MatchPrefix(prefix="a/bc"))]), []),
    "empty prefix": (q.Filter(must=[_field("path", match=q.MatchPrefix(prefix=""))]), [1, 2, 3, 4, 5]),
    "part": (q.Filter(must=[_field("path", match=q.MatchSubstring(substring="a/"))]), [1, 2, 4]),
    "part in another case": (q.Filter(must=[_field("path", match=q.MatchSubstring(substring="ÖSSE"))]), []),
    "no prefix": (q.Filter(must_not=[_field("path", match=q.MatchPrefix(prefix="a"))]), [5]),
    "one of a list": (q.Filter(must=[_field("tags", match=q.MatchValue(value="t1"))]), [2, 4]),
    "range": (q.Filter(must=[_field("number", range=q.Range(gt=1, lte=3))]), [3, 4]),
    "float range": (q.Filter(must=[_field("weight", range=q.Range(gte=1.5))]), [4, 5]),
    "moments": (q.Filter(must=[_field("moment", range=q.DatetimeRange(lt=datetime(2026, 1, 3, tzinfo=UTC)))]), [1, 2]),
    "ids": (q.Filter(must=[q.HasIdCondition(has_id=[2, 5, 99])]), [2, 5]),
    "empty": (q.Filter(must=[q.IsEmptyCondition(is_empty=q.PayloadField(key="only"))]), [1, 2, 3, 4]),
    "not empty": (q.Filter(must_not=[q.IsEmptyCondition(is_empty=q.PayloadField(key="only"))]), [5]),
    "either": (
        q.Filter(should=[_field("number", match=q.MatchValue(value=0)), _field("number", match=q.MatchValue(value=4))]),
        [1, 5],
    ),
    "both and not": (
        q.Filter(must=[_field("group", match=q.MatchValue(value="even"))], must_not=[_field("number", match=q.MatchValue(value=0))]),
        [3, 5],
    ),
    "within": (
        q.Filter(must=[q.Filter(should=[_field("number", match=q.MatchValue(value=3)), q.HasIdCondition(has_id=[1])])]),
        [1, 4],
    ),
}


@pytest.mark.parametrize("case", _FILTERS)
async def test_a_filter_keeps_what_it_says(client: AsyncQdrantClient, filled: str, case: str) -> None:
    """The same in a scroll, a count and a search."""
    chosen, expected = _FILTERS[case]
    records, following = await client.scroll(filled, scroll_filter=chosen, limit=10)
    assert ([record.id for record in records], following) == (expected, None)
    assert (await client.count(filled, count_filter=chosen)).count == len(expected)
    found = await client.query_points(filled, query=[1.0] * SIZE, using="dense", query_filter=chosen, limit=10)
    assert sorted(int(point.id) for point in found.points) == expected


@pytest.mark.parametrize("exact", [True, False])
async def test_a_facet_counts_points_by_value(client: AsyncQdrantClient, filled: str, exact: bool) -> None:
    """Those that the filter keeps, most first; each value of a list counts; a field without such an index has none."""
    odd = q.Filter(must=[_field("group", match=q.MatchValue(value="odd"))])
    await client.set_payload(filled, {"group": "odd"}, points=[1], wait=True)
    for key, chosen, expected in (
        ("group", None, [("odd", 3), ("even", 2)]),
        ("tags", None, [("all", 5), ("t0", 3), ("t1", 2)]),
        ("tags", odd, [("all", 3), ("t1", 2), ("t0", 1)]),
        ("flag", None, [(False, 3), (True, 2)]),
        ("number", odd, [(0, 1), (1, 1), (3, 1)]),
        ("group", q.Filter(must_not=[_field("tags", match=q.MatchValue(value="all"))]), []),
    ):
        answer = await client.facet(filled, key, facet_filter=chosen, exact=exact)
        assert [(hit.value, hit.count) for hit in answer.hits] == expected
    assert [hit.value for hit in (await client.facet(filled, "tags", limit=1, exact=exact)).hits] == ["all"]
    for key in ("moment", "nothing"):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await client.facet(filled, key, exact=exact)
        assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_beginnings_of_words_are_found_where_they_are_indexed(client: AsyncQdrantClient, filled: str) -> None:
    """Each by each, in any order, up to 20 characters; an estimate of how many is near."""
    schema = q.TextIndexParams(
        type=q.TextIndexType.TEXT, tokenizer=q.TokenizerType.PREFIX, lowercase=True, min_token_len=1, max_token_len=20
    )
    await client.set_payload(filled, {"title": "Heat transfer-coefficients of x" + "y" * 30}, points=[1, 3], wait=True)
    await client.create_payload_index(filled, "title", schema, wait=True)
    for text, expected in (
        ("h", [1, 3]),
        ("heat tr", [1, 3]),
        ("coeff heat", [1, 3]),
        ("x" + "y" * 25, [1, 3]),
        ("eat", []),
        ("heater", []),
        ("!", []),
    ):
        chosen = q.Filter(must=[_field("title", match=q.MatchText(text=text))])
        records, _ = await client.scroll(filled, scroll_filter=chosen, limit=10)
        assert [record.id for record in records] == expected, text
        assert (await client.count(filled, count_filter=chosen, exact=False)).count == pytest.approx(len(expected), abs=1), text


async def test_a_payload_comes_back_as_it_was(client: AsyncQdrantClient, filled: str) -> None:
    """All kinds of values, all of it or the fields asked for."""
    [record] = await client.retrieve(filled, [5], with_payload=True, with_vectors=True)
    assert record.payload == _point(4).payload
    vector: Any = record.vector
    assert vector["dense"] == pytest.approx([1.0, 0, 0, 0])  # of length one, as cosine keeps them
    [record] = await client.retrieve(filled, [5], with_payload=["number"])
    assert record.payload == {"number": 4}
    [record] = await client.retrieve(filled, [5], with_payload=q.PayloadSelectorExclude(exclude=["nested", "text"]))
    assert sorted(record.payload or {}) == ["flag", "group", "moment", "number", "only", "path", "tags", "weight"]
    assert await client.retrieve(filled, [99]) == []


async def test_ids_may_be_uuids(client: AsyncQdrantClient, name: str) -> None:
    """And come back as they were."""
    identifier = str(uuid.uuid4())
    await client.upsert(name, [q.PointStruct(id=identifier, vector={}, payload={"a": 1})], wait=True)
    assert [each.id for each in await client.retrieve(name, [identifier])] == [identifier]
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await client.retrieve(name, ["no uuid"])
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_vectors_come_with_points_where_they_are_asked_for(client: AsyncQdrantClient, filled: str) -> None:
    """By name, from a scroll as from ids."""
    records, _ = await client.scroll(filled, scroll_filter=_FILTERS["integer"][0], with_vectors=["dense"], with_payload=["number"])
    assert records == await client.retrieve(filled, [2], with_vectors=["dense"], with_payload=["number"])
    vector: Any = records[0].vector
    assert vector["dense"] == pytest.approx([0.0995, 0.995, 0, 0], abs=1e-3)
    assert records[0].payload == {"number": 1}


async def test_a_scroll_goes_on_where_it_stopped(client: AsyncQdrantClient, filled: str) -> None:
    """Pages together are everything, once."""
    seen, offset = [], None
    while True:
        records, offset = await client.scroll(filled, limit=2, offset=offset, with_payload=False)
        seen += [record.id for record in records]
        if offset is None:
            break
    assert seen == [1, 2, 3, 4, 5]


async def test_the_same_id_overwrites(client: AsyncQdrantClient, filled: str) -> None:
    """Vector and payload, as a whole."""
    await client.upsert(filled, [q.PointStruct(id=1, vector={"dense": [0, 0, 0, 1]}, payload={"number": 100})], wait=True)
    [record] = await client.retrieve(filled, [1])
    assert record.payload == {"number": 100}
    assert (await client.count(filled)).count == 5


async def test_an_update_may_have_a_condition(client: AsyncQdrantClient, filled: str) -> None:
    """A point that is there is changed only if it matches; one that is missing is made."""
    lower = q.Filter(must=[_field("number", range=q.Range(lt=3))])
    points = [q.PointStruct(id=identifier, vector={}, payload={"number": 3}) for identifier in (1, 5, 77)]
    await client.upsert(filled, points, update_filter=lower, wait=True)
    records = await client.retrieve(filled, [1, 5, 77], with_payload=["number"])
    assert {record.id: record.payload for record in records} == {1: {"number": 3}, 5: {"number": 4}, 77: {"number": 3}}


async def test_payload_is_set_by_ids_and_by_filter(client: AsyncQdrantClient, filled: str) -> None:
    """What is not named stays."""
    await client.set_payload(filled, {"flag": True}, points=[1], wait=True)
    await client.set_payload(filled, {"weight": 9.5}, points=q.Filter(must=[_field("group", match=q.MatchValue(value="odd"))]), wait=True)
    records = await client.retrieve(filled, [1, 2, 3, 4], with_payload=["flag", "weight"])
    assert [record.payload for record in records] == [
        {"flag": True, "weight": 0.0},
        {"flag": False, "weight": 9.5},
        {"flag": False, "weight": 1.0},
        {"flag": True, "weight": 9.5},
    ]


async def test_points_are_deleted_by_ids_and_by_filter(client: AsyncQdrantClient, filled: str) -> None:
    """What is gone is not found, and deleting it again is no error."""
    for _ in range(2):
        await client.delete(filled, q.PointIdsList(points=[1, 99]), wait=True)
        await client.delete(filled, q.FilterSelector(filter=q.Filter(must=[_field("number", range=q.Range(gte=3))])), wait=True)
    records, _ = await client.scroll(filled)
    assert [record.id for record in records] == [2, 3]


async def test_words_are_ranked_by_bm25(client: AsyncQdrantClient, filled: str) -> None:
    """Only points that hold a word of the query; more of it in a shorter text first."""
    found = await client.query_points(filled, query=q.TextQuery(text="Heat"), using="text", limit=10)
    assert [point.id for point in found.points] == [3, 1, 5]
    assert found.points[0].score > found.points[1].score > found.points[2].score > 0


async def test_a_list_of_texts_is_one_text(client: AsyncQdrantClient, filled: str) -> None:
    """Scored as a whole; a phrase lies within one of them."""
    await client.upsert(filled, [q.PointStruct(id=9, vector={}, payload={"text": ["flutter of slabs", "wing flutter"]})], wait=True)
    found = await client.query_points(filled, query=q.TextQuery(text="flutter"), using="text", limit=10)
    assert [point.id for point in found.points] == [9, 2]
    for phrase, expected in (("flutter of", [9]), ("wing flutter", [2, 9]), ("slabs wing", [])):
        condition = _field("text", match=q.MatchPhrase(phrase=phrase))
        records, _ = await client.scroll(filled, scroll_filter=q.Filter(must=[condition]))
        assert [record.id for record in records] == expected


async def test_a_score_is_raised_by_phrases(client: AsyncQdrantClient, filled: str) -> None:
    """By a formula over the score and conditions, each 1 or 0; the filter of what it is computed of holds."""
    texts = {11: "river gate opens", 12: "gate river opens", 13: "river gate opens"}
    await client.upsert(filled, [q.PointStruct(id=key, vector={}, payload={"text": text}) for key, text in texts.items()], wait=True)
    chosen = q.Filter(must_not=[q.HasIdCondition(has_id=[13])])
    words = q.Prefetch(query=q.TextQuery(text="river gate"), using="text", limit=10, filter=chosen)
    phrase = _field("text", match=q.MatchPhrase(phrase="river gate"))
    formula = q.FormulaQuery(formula=q.MultExpression(mult=["$score", q.SumExpression(sum=[1.0, q.MultExpression(mult=[0.5, phrase])])]))
    plain = {point.id: point.score for point in (await client.query_points(filled, query=words.query, using="text", limit=10)).points}
    raised = (await client.query_points(filled, prefetch=[words], query=formula, limit=10)).points
    assert [point.id for point in raised] == [11, 12]
    assert [point.score for point in raised] == pytest.approx([1.5 * plain[11], plain[12]])


@pytest.mark.parametrize("fusion", [q.Fusion.RRF, q.Fusion.DBSF])
async def test_two_rankings_are_fused(client: AsyncQdrantClient, filled: str, fusion: q.Fusion) -> None:
    """What both find is ahead of what one finds; a filter holds in both."""
    chosen = q.Filter(must_not=[q.HasIdCondition(has_id=[3])])
    prefetch = [
        q.Prefetch(query=[1.0, 0, 0, 0], using="dense", limit=2, filter=chosen),
        q.Prefetch(query=q.TextQuery(text="heat"), using="text", limit=10, filter=chosen),
    ]
    found = await client.query_points(filled, prefetch=prefetch, query=q.FusionQuery(fusion=fusion), limit=10, with_payload=["number"])
    assert {point.id for point in found.points} == {1, 5}
    assert found.points[0].payload is not None


async def test_a_batch_answers_each_query(client: AsyncQdrantClient, filled: str) -> None:
    """In the order asked."""
    requests = [
        q.QueryRequest(query=[0.0, 1.0, 0, 0], using="dense", limit=1),
        q.QueryRequest(query=q.NearestQuery(nearest=[0.0, 0, 1.0, 0]), using="dense", limit=1, with_payload=["number"]),
    ]
    answers = await client.query_batch_points(filled, requests)
    assert [[point.id for point in answer.points] for answer in answers] == [[2], [3]]


_WRONG = {
    "dimension": lambda client, name: client.query_points(name, query=[1.0], using="dense"),
    "vector": lambda client, name: client.query_points(name, query=[1.0] * SIZE, using="nothing"),
    "text index": lambda client, name: client.query_points(name, query=q.TextQuery(text="x"), using="group"),
    "stored dimension": lambda client, name: client.upsert(name, [q.PointStruct(id=1, vector={"dense": [1.0]})]),
    "stored vector": lambda client, name: client.upsert(name, [q.PointStruct(id=1, vector={"nothing": [1.0] * SIZE})]),
}


@pytest.mark.parametrize("case", _WRONG)
async def test_a_wrong_request_is_the_callers_fault(client: AsyncQdrantClient, name: str, case: str) -> None:
    """And changes nothing."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await _WRONG[case](client, name)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert (await client.count(name)).count == 0
