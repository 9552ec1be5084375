"""Tenants with the same documents side by side: a search answers as if there were no other tenant, whatever it asks."""

import asyncio
import difflib
import os
import uuid
from collections.abc import Awaitable, Callable, Sequence
from itertools import islice
from pathlib import Path
from random import Random

import grpc
import httpx
import pytest

from semantik.client.metadata import Metadata
from tests.conftest import REPEATS, Person, Publish
from tests.e2e.probes import Wire
from tests.e2e.search_probes import METHODS, Foreign, SearchProbe, comparable, probes

PROBES = 10_000 if REPEATS > 1 else 300
SIDE_BY_SIDE = 8
_SHARED = {
    "oak.txt": "The treasure lies under an oak, and nobody knows who buried it there in the winter of the great storm.",
    "plate.md": "# Heat\n\nHeat transfer to a flat plate was measured in a wind tunnel, and the theory agrees with it.",
    "schatz.txt": "Der Schatz liegt unter einer alten Eiche, und niemand weiß, wer ihn im Winter dort vergraben hat.",
}


@pytest.fixture
def wire(gateway: grpc.aio.Channel, http: httpx.AsyncClient) -> Wire:
    return Wire(gateway, http)


async def _tenant(person: Person, http: httpx.AsyncClient, folder: Path, secrets: dict[str, str], word: str) -> Foreign:
    """Give a user a collection of the shared documents and of ``secrets``, all with metadata."""
    folder.mkdir()
    client = person.client
    collection = await client.collections.create("papers")
    documents = []
    for name, text in {**_SHARED, **secrets}.items():
        (folder / name).write_text(text)
        metadata: Metadata = {"author": "Ada", "year": 2020, **({"secret": word} if name in secrets else {})}
        document, operation = await client.documents.upload(collection.id, folder / name, metadata=metadata)
        await client.operations.wait(operation.id)
        documents.append(document)
    search = {"collectionIds": [collection.id], "query": "treasure", "limit": 1}
    token = (await http.post("/v1/search", json=search, headers=person.headers)).json()["nextPageToken"]
    assert token
    return Foreign(collection.id, documents[0].source_id, [each.id for each in documents], token, word)


def _nobody(like: str, word: str, documents: int) -> Foreign:
    """Return what would be another's, if there were one; its page token is one that was changed."""
    collection, source, *ids = (str(uuid.uuid4()) for _ in range(documents + 2))
    return Foreign(collection, source, ids, like.translate(str.maketrans("ABCDEFGHIJKLM", "NOPQRSTUVWXYZ")), word)


async def _answers(wire: Wire, person: Person, own: str, foreign: Foreign, asked: Sequence[SearchProbe]) -> list[str]:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(probe: SearchProbe) -> str:
        async with gate:
            return await wire.ask(probe.face, probe.method, probe.request(own, foreign), person.token)

    return list(await asyncio.gather(*map(one, asked)))


def _leak(probe: SearchProbe, before: str, after: str, nobody: Foreign, victim: Foreign) -> str:
    """Return what a probe has shown of the victim; an empty text for nothing."""
    expected, shown = comparable(before, nobody), comparable(after, victim)
    if shown == expected:
        return ""
    lines = difflib.unified_diff(expected.splitlines(), shown.splitlines(), "nobody", "another", lineterm="", n=2)
    return f"{probe.method.name} by {probe.face}, seed {probe.seed}:\n" + "\n".join(islice(lines, 30))


@pytest.mark.abuse(7, 15, 17, 18)
async def test_a_search_does_not_tell_that_there_is_another_tenant(
    person: Callable[[], Awaitable[Person]],
    http: httpx.AsyncClient,
    wire: Wire,
    shelf: Path,
    publish: Publish,
    record_property: Callable[[str, object], None],
) -> None:
    """Every RPC, filter, count, example, explanation, page token and error: the answers of before there was one, with ids of nobody."""
    seed = int(os.environ.get("ABUSE_SEED", "0")) or uuid.uuid4().int % 10**9
    asked = probes(Random(seed), PROBES)  # noqa: S311 - repeatable
    caller, other = await person(), await person()
    own = await _tenant(caller, http, shelf / "own", {"mine.txt": "A second treasure is mine alone, and lies in the garden."}, "garden")
    word = f"zq{uuid.uuid4().hex}"
    secrets = {f"{word}.txt": f"The treasure {word} of the other lies under an oak.", "more.txt": f"More of {word}, in the garden."}
    nobody = _nobody(own.page_token, word, len(_SHARED) + len(secrets))
    before = await _answers(wire, caller, own.collection, nobody, asked)

    victim = await _tenant(other, http, shelf / "other", secrets, word)
    after = await _answers(wire, caller, own.collection, victim, asked)
    found = [leak for probe, was, now in zip(asked, before, after, strict=True) if (leak := _leak(probe, was, now, nobody, victim))]
    record_property("cross_tenant_probes", len(asked))
    record_property("leaks", len(found))
    assert not found, "\n".join([f"ABUSE_SEED={seed}: {len(found)} answers differ", *found[:3]])
    # The probes ask for something: most are answered, some by hits, and each RPC both ways.
    for name in METHODS:
        answers = [answer for probe, answer in zip(asked, after, strict=True) if probe.method.name == name]
        assert any(own.documents[0] in answer for answer in answers), name
        assert any("NOT_FOUND" in answer or "404 " in answer[:4] for answer in answers), name

    answered = [answer for answer in after if own.documents[0] in answer or own.documents[-1] in answer]
    assert len(answered) > len(asked) // 10

    # Where the caller may read the other's documents, the same probes show them: a leak would have been seen.
    await publish(other, victim.collection)
    shown = await _answers(wire, caller, own.collection, victim, asked[:60])
    differ = [_leak(probe, was, now, nobody, victim) for probe, was, now in zip(asked[:60], before[:60], shown, strict=True)]
    assert sum(map(bool, differ)) > 20
