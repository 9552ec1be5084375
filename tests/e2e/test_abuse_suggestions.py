"""Tenants with the same documents side by side: suggestions are as if there were no other tenant, and queries stay with who asked them."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import grpc
import httpx
import pytest
from google.protobuf.message import Message

from semantik.search.v1.suggestion_pb2 import DeleteRecentQueriesRequest, SuggestQueriesRequest
from tests.conftest import REPEATS, Person, Publish
from tests.e2e.faces import method
from tests.e2e.probes import FACES, Wire
from tests.e2e.search_probes import Foreign, comparable

PROBES = 1000 if REPEATS > 1 else 90
_SUGGEST, _FORGET = (method(f"search.v1.SearchService.{name}") for name in ("SuggestQueries", "DeleteRecentQueries"))
_SHARED = {
    "treasure map.txt": "The treasure lies under an oak.",
    "heat.md": "# Heat transfer\n\nHeat transfer to a flat plate was measured in a wind tunnel.",
}


@pytest.fixture
def wire(gateway: grpc.aio.Channel, http: httpx.AsyncClient) -> Wire:
    return Wire(gateway, http)


async def _tenant(person: Person, folder: Path, secrets: dict[str, str]) -> str:
    """Give a user a collection of the shared documents and of ``secrets``; return its id."""
    folder.mkdir()
    for name, text in {**_SHARED, **secrets}.items():
        (folder / name).write_text(text)
    collection = await person.client.collections.create("papers")
    _, operation = await person.client.sources.add(collection.id, str(folder))
    await person.client.operations.wait(operation.id)
    return collection.id


def _request(random: Random, own: str, foreign: str, word: str) -> Message:
    text = random.choice(("t", "tr", "treasure", "he", "heat t", "", "m", word, word[:3], word.upper(), f"the {word}"))
    if random.random() < 0.2:
        return DeleteRecentQueriesRequest(text=f"where is {word}" if text else "")
    both = [own, foreign]
    named = random.choice(([], [], [own], [own], [foreign], both, both[::-1]))
    return SuggestQueriesRequest(prefix=text, collection_ids=named, limit=random.choice((None, 1, 20)))


async def _answers(wire: Wire, person: Person, seed: int, foreign: str, own: str, word: str, number: int) -> list[str]:
    random, gate = Random(seed), asyncio.Semaphore(8)  # noqa: S311 - repeatable
    named = Foreign(foreign, str(uuid.uuid4()), (), str(uuid.uuid4()), word)

    async def one(face: str, request: Message) -> str:
        async with gate:
            of = _FORGET if isinstance(request, DeleteRecentQueriesRequest) else _SUGGEST
            return comparable(await wire.ask(face, of, request, person.token), named)

    asked = [(FACES[each % len(FACES)], _request(random, own, foreign, word)) for each in range(number)]
    return list(await asyncio.gather(*(one(*each) for each in asked)))


@pytest.mark.abuse(7, 15)
async def test_suggestions_do_not_tell_that_there_is_another_tenant(
    person: Callable[[], Awaitable[Person]], wire: Wire, shelf: Path, publish: Publish, record_property: Callable[[str, object], None]
) -> None:
    """Of another's titles, headings and queries, whatever is named; and forgetting forgets nothing of another's."""
    seed = int(os.environ.get("ABUSE_SEED", "0")) or uuid.uuid4().int % 10**9
    caller, other = await person(), await person()
    own = await _tenant(caller, shelf / "own", {"mine.txt": "A second treasure is mine alone."})
    word = f"zq{uuid.uuid4().hex}"
    before = await _answers(wire, caller, seed, str(uuid.uuid4()), own, word, PROBES)

    secrets = {f"treasure {word}.txt": "A secret.", "more.md": f"# The treasure of {word}\n\nMore of it.", "treasure map 2.txt": "x"}
    victim = await _tenant(other, shelf / "other", secrets)
    for query in (f"where is {word}", f"treasure {word}", "treasure maps"):
        await other.client.search(query, [victim])
    after = await _answers(wire, caller, seed, victim, own, word, PROBES)
    leaks = [(was, now) for was, now in zip(before, after, strict=True) if was != now]
    record_property("cross_tenant_probes", len(after))
    record_property("leaks", len(leaks))
    assert leaks == [], f"ABUSE_SEED={seed}"
    assert any("treasure map.txt" in answer for answer in after)
    assert any("Heat transfer" in answer for answer in after)
    assert any("NOT_FOUND" in answer or answer.startswith("404 ") for answer in after)
    kept = [each.text for each in await other.client.search.suggest("")]
    assert sorted(kept) == sorted((f"where is {word}", f"treasure {word}", "treasure maps"))

    # Where the caller may read the other's documents, the same probes show them: a leak would have been seen.
    await publish(other, victim)
    shown = await _answers(wire, caller, seed, victim, own, word, PROBES)
    assert any("treasure WORD.txt" in answer for answer in shown)
    assert sum(was != now for was, now in zip(before, shown, strict=True)) > PROBES // 10
    assert not any("treasure maps" in answer or "where is WORD" in answer for answer in shown)
