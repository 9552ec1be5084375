"""Three tenants, and calls at random with each other's ids and page tokens: nothing is learned and nothing changes."""

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import grpc
import httpx
import pytest

from semantik.collection.v1.collection_service_pb2 import GetCollectionRequest
from semantik.collection.v1.source_service_pb2 import ListSourcesRequest
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import REPEATS, Person
from tests.e2e.faces import method
from tests.e2e.probes import FACES, Probe, Tenant, Wire, leak, random_probe, targets

PROBES = 250 * REPEATS
SIDE_BY_SIDE = 8
LISTS = {
    "ListCollections": "/v1/collections",
    "ListDocuments": "/v1/collections/{collection}/documents",
    "ListSources": "/v1/collections/{collection}/sources",
    "ListOperations": "/v1/operations",
    "ListSessions": "/v1/users/me/sessions",
    "ListJudgedSets": "/v1/judged-sets?collection_id={collection}",
    "ListJudgedQueries": "/v1/judged-sets/{judged_set}/queries",
    "ListEvaluations": "/v1/evaluations?collection_id={collection}",
    "ListEvaluatedQueries": "/v1/evaluations/{evaluation}/queries",
}


@pytest.fixture
def wire(gateway: grpc.aio.Channel, http: httpx.AsyncClient) -> Wire:
    return Wire(gateway, http)


async def _tenant(person: Person, http: httpx.AsyncClient, folder: Path) -> Tenant:
    """Give a user two of everything, so that each list has a second page."""
    marker = f"marker{uuid.uuid4().hex}"
    client = person.client
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}-{marker}.txt").write_text(f"The treasure {marker} lies under {name} oak.")
    collection = await client.collections.create(f"papers {marker}", description=f"holds {marker}")
    await client.collections.create(f"more {marker}")
    source, operation = await client.sources.add(collection.id, str(folder))
    assert (await client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    document, operation = await client.documents.upload(collection.id, folder / f"one-{marker}.txt", f"{marker}.txt")
    await client.operations.wait(operation.id)
    [session] = await client.accounts.sessions()
    await client.accounts.login(person.user.username, "correct horse battery staple")
    ids = {"collection_id": collection.id, "source_id": source.id, "document_id": document.id}
    ids |= {"operation_id": operation.id, "session_id": session.id}
    judged_set = await client.evaluations.create_set(collection.id, f"judged {marker}")
    await client.evaluations.judge(collection.id, f"where is {marker}", f"{marker}.txt")
    texts = {each: f"the treasure {each} {marker}" for each in ("one", "two")}
    await client.evaluations.put(judged_set.id, texts, {each: {f"one-{marker}": 1} for each in texts})
    for _ in range(2):
        evaluation, operation = await client.evaluations.start(judged_set.id, name=f"measured {marker}")
        await client.operations.wait(operation.id)
    ids |= {"judged_set_id": judged_set.id, "evaluation_id": evaluation.id}
    tokens = {}
    for name, path in LISTS.items():
        at = path.format(collection=collection.id, judged_set=judged_set.id, evaluation=evaluation.id)
        page = await http.get(f"{at}{'&' if '?' in at else '?'}page_size=1", headers=person.headers)
        tokens[name] = page.json()["nextPageToken"]
        assert tokens[name], name
    search = {"collectionIds": [collection.id], "query": "treasure", "limit": 1}
    tokens["Search"] = (await http.post("/v1/search", json=search, headers=person.headers)).json()["nextPageToken"]
    assert tokens["Search"]
    return Tenant(person.token, marker, ids, tokens, str(folder))


@pytest.fixture
async def tenants(person: Callable[[], Awaitable[Person]], http: httpx.AsyncClient, shelf: Path) -> list[Tenant]:
    people = [await person() for _ in range(3)]
    return list(await asyncio.gather(*(_tenant(each, http, shelf / f"tenant{number}") for number, each in enumerate(people))))


async def _leaks(wire: Wire, probes: list[tuple[Probe, Tenant, Tenant]]) -> list[str]:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(probe: Probe, caller: Tenant, victim: Tenant) -> str:
        async with gate:
            return await leak(wire, probe, caller, victim)

    return [found for found in await asyncio.gather(*(one(*each) for each in probes)) if found]


@pytest.mark.abuse(7, 17)
async def test_no_tenant_learns_of_another(
    wire: Wire, tenants: list[Tenant], http: httpx.AsyncClient, record_property: Callable[[str, object], None]
) -> None:
    """Every field of every public RPC that takes an id, on every face, in any spelling: as an id that nobody has."""
    seed = int(os.environ.get("ABUSE_SEED", "0")) or uuid.uuid4().int % 10**9
    random = Random(seed)  # noqa: S311 - repeatable
    fields = targets()
    pairs = [(caller, victim) for caller in tenants for victim in tenants if caller is not victim]
    everything = [(target, face) for target in fields for face in FACES]
    chosen = [(*everything[number % len(everything)], random.choice(pairs)) for number in range(max(PROBES, len(everything)))]
    probes = [(random_probe(target, random, victim, face), caller, victim) for target, face, (caller, victim) in chosen]
    leaks = await _leaks(wire, probes)
    record_property("cross_tenant_probes", len(probes))
    record_property("leaks", len(leaks))
    assert leaks == [], f"ABUSE_SEED={seed}"
    for tenant in tenants:
        headers = {"authorization": f"Bearer {tenant.token}"}
        page = await http.get(f"/v1/collections/{tenant.ids['collection_id']}/documents", headers=headers)
        assert sum(tenant.marker in each["name"] for each in page.json()["documents"]) == 3
        sessions = (await http.get("/v1/users/me/sessions", headers=headers)).json()["sessions"]
        assert tenant.ids["session_id"] in {each["id"] for each in sessions}


async def test_a_leak_would_be_seen(wire: Wire, tenants: list[Tenant]) -> None:
    """By every face, in the content as in the mere difference to an id that nobody has."""
    owner, other, _ = tenants
    asked = {
        method("collection.v1.CollectionService.GetCollection"): GetCollectionRequest,
        method("collection.v1.SourceService.ListSources"): ListSourcesRequest,
    }
    by_method = {target.method.full_name: target for target in targets() if target.path == ("collection_id",)}
    for face in FACES:
        for of in asked:
            probe = Probe(by_method[of.full_name], face, "as it is", "collection_id", "", 0)
            assert await leak(wire, probe, owner, owner), (face, of.name)
            assert not await leak(wire, probe, other, owner), (face, of.name)
