"""What people asked lately comes first of what is suggested to them, and to nobody else."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import create_async_engine

from deploy.local.postgres import Postgres
from deploy.local.supervisor import Mesh
from libs.db import engine as db
from libs.rpc.call import Principal
from semantik.auth.v1.user_pb2 import User
from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1.search_service_pb2 import SearchRequest
from semantik.search.v1.suggestion_pb2 import Suggestion
from services.search.suggestions.recent import RecentQueries
from tests.conftest import Person
from tests.service.search.conftest import Fill

RECENT, TITLE = Suggestion.KIND_RECENT_QUERY, Suggestion.KIND_TITLE
_NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def _shown(suggestions: Sequence[Suggestion]) -> list[tuple[int, str, str]]:
    return [(each.kind, each.text, each.text[each.match.start : each.match.end]) for each in suggestions]


def _texts(suggestions: Sequence[Suggestion]) -> list[str]:
    return [each.text for each in suggestions]


async def _refused(call: Awaitable[object]) -> tuple[str, str]:
    with pytest.raises(SemantikError) as refusal:
        await call
    return refusal.value.code, refusal.value.reason


async def test_own_recent_queries_come_first(ada: Person, stranger: Person, collection: Collection, fill: Fill) -> None:
    """The first pages that a person asked, at most half where there is more; never another's."""
    await fill(ada, collection, ["whales"], name="whale watching", section="Whale songs")
    search = ada.client.search
    for query in ("whales  of the north ", "Whale Songs", "whales of the north"):
        await search(query, [collection.id])
    await search.batch([SearchRequest(query="whale in a batch")], [collection.id])
    await stranger.client.search("whale of a stranger")
    assert _shown(await search.suggest("whale", [collection.id])) == [
        (RECENT, "whales of the north", "whale"),
        (RECENT, "Whale Songs", "Whale"),
        (TITLE, "whale watching", "whale"),
    ]
    assert _texts(await search.suggest("whale", [collection.id], limit=2)) == ["whales of the north", "Whale songs"]
    assert _texts(await search.suggest("songs", [collection.id])) == ["Whale Songs"]
    assert _shown(await search.suggest("")) == [(RECENT, "whales of the north", ""), (RECENT, "Whale Songs", "")]
    assert _texts(await stranger.client.search.suggest("whale")) == ["whale of a stranger"]


async def test_next_pages_similar_ones_and_failures_are_not_noted(ada: Person, collection: Collection, fill: Fill) -> None:
    """Nor what is too long to be typed again."""
    await fill(ada, collection, ["whales", "orcas"])
    answer = await ada.client.search("orcas", [collection.id], limit=1)
    for _ in range(3):
        await ada.client.search("orcas", [collection.id], limit=1, page_token=answer.next_page_token)
    await ada.client.search("whales", [collection.id])
    await ada.client.search("whales", [collection.id])
    await ada.client.search.similar([collection.id], text="similar")
    await ada.client.search("x" * 257, [collection.id])
    await _refused(ada.client.search("refused", [str(uuid.uuid4())]))
    assert _texts(await ada.client.search.suggest("")) == ["whales", "orcas"]


async def test_recent_queries_are_written_and_forgotten(ada: Person, stranger: Person, rows: psycopg.AsyncConnection) -> None:
    """One or all, wherever they wait; only one's own."""
    for person in (ada, stranger):
        for query in ("first", "second", "third"):
            await person.client.search(query)
    await ada.client.search.forget(" second")
    await ada.client.search.forget("   ")
    await ada.client.search.forget("nothing that was asked")
    assert sorted(_texts(await ada.client.search.suggest(""))) == ["first", "third"]
    await _until_stored(rows, ada, ["first", "third"])
    await ada.client.search.forget("first")
    assert _texts(await ada.client.search.suggest("")) == ["third"]
    await ada.client.search("fourth")
    await ada.client.search.forget()
    assert await ada.client.search.suggest("") == []
    assert await _stored(rows, ada) == []
    assert sorted(_texts(await stranger.client.search.suggest(""))) == ["first", "second", "third"]


async def _stored(rows: psycopg.AsyncConnection, person: Person) -> list[str]:
    found = await rows.execute("SELECT text FROM search.recent_queries WHERE user_id = %s ORDER BY text", (person.user.id,))
    return [text for (text,) in await found.fetchall()]


async def _until_stored(rows: psycopg.AsyncConnection, person: Person, texts: list[str]) -> None:
    async with asyncio.timeout(20):
        while await _stored(rows, person) != texts:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)


@pytest.fixture
async def sessions(mesh: Mesh) -> AsyncIterator[db.Sessions]:
    """Sessions on the service's tables, past the service."""
    engine = create_async_engine(Postgres(mesh.home.postgres).url("search"))
    yield db.sessions(engine)
    await engine.dispose()


@pytest.fixture
async def away() -> AsyncIterator[db.Sessions]:
    """Sessions on a database that is away."""
    engine = create_async_engine("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    yield db.sessions(engine)
    await engine.dispose()


def _somebody(*, restricted: bool = False) -> Principal:
    return Principal(str(uuid.uuid4()), User.ROLE_USER, api_key_id="key" if restricted else "", restricted=restricted)


def _count(outcome: str) -> float:
    return REGISTRY.get_sample_value("semantik_search_recent_queries_total", {"outcome": outcome}) or 0.0


async def test_the_newest_200_of_a_user_are_stored(sessions: db.Sessions, rows: psycopg.AsyncConnection) -> None:
    """Also where they come in several writes; another user's stay as they are."""
    one, other = _somebody(), _somebody()
    moments = iter(_NOON + timedelta(seconds=number) for number in range(1000))
    recent = RecentQueries(sessions, sessions, lambda: next(moments))
    recent.note(other, "mine")
    for start in (0, 150, 250):
        for number in range(start, start + 150):
            recent.note(one, f"query {number}")
        await recent.flush()
    try:
        stored = await rows.execute("SELECT text, count FROM search.recent_queries WHERE user_id = %s", (one.user_id,))
        assert dict(await stored.fetchall()) == {f"query {number}": 1 + (250 <= number < 300) for number in range(200, 400)}
        assert await recent.of(other) == ["mine"]
    finally:
        await recent.forget(one.user_id)
        await recent.forget(other.user_id)
    assert await recent.of(one) == []


async def test_those_asked_often_and_lately_come_first(sessions: db.Sessions) -> None:
    """Twice a week ago is as much as once today, whether it is written yet or not."""
    moment = _NOON
    recent, somebody = RecentQueries(sessions, sessions, lambda: moment), _somebody()
    for query, times in (("often", 5), ("twice", 2), ("once", 1)):
        for _ in range(times):
            recent.note(somebody, query)
    assert await recent.of(somebody) == ["often", "twice", "once"]
    await recent.flush()
    moment += timedelta(days=7, hours=1)
    recent.note(somebody, "today")
    recent.note(somebody, "once")
    try:
        assert await recent.of(somebody) == ["often", "once", "today", "twice"]
    finally:
        await recent.forget(somebody.user_id)


async def test_what_cannot_be_stored_is_not_noted(sessions: db.Sessions) -> None:
    """So that it does not keep the rest from being written; of a restricted key nothing is."""
    recent, somebody, key = RecentQueries(sessions, sessions), _somebody(), _somebody(restricted=True)
    for query in ("with a \0", "x" * 257, "x" * 256, "\ud7ff \u200b"):
        recent.note(somebody, query)
    recent.note(key, "a key's")
    before = _count("written")
    await recent.flush()
    try:
        assert sorted(await recent.of(somebody)) == ["x" * 256, "\ud7ff \u200b"]
        assert await recent.of(key) == []
        assert _count("written") == before + 2
    finally:
        await recent.forget(somebody.user_id)


async def test_without_a_database_nothing_fails(away: db.Sessions) -> None:
    """What was asked meanwhile is lost and counted; until then it is suggested."""
    recent, somebody = RecentQueries(away, away), _somebody()
    recent.note(somebody, "asked")
    unread, lost = _count("unread"), _count("lost")
    assert await recent.of(somebody) == ["asked"]
    await recent.flush()
    assert await recent.of(somebody) == []
    assert (_count("unread"), _count("lost")) == (unread + 2, lost + 1)


async def test_what_waits_to_be_written_is_bounded(away: db.Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes on top is lost; what waits already is still counted up."""
    monkeypatch.setattr("services.search.suggestions.recent._CAPACITY", 2)
    recent, somebody, lost = RecentQueries(away, away), _somebody(), _count("lost")
    for query in ("first", "second", "third", "second"):
        recent.note(somebody, query)
    assert await recent.of(somebody) == ["second", "first"]
    assert _count("lost") == lost + 1
