"""What the mesh counts while it works, read as Prometheus reads it."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.supervisor import Mesh
from semantik.collection.v1.collection_pb2 import Collection
from tests.conftest import Person

_SERVICES = ("operation", "worker", "search", "embedding")


async def _read(mesh: Mesh) -> Counter[str]:
    """Return every sample of the mesh's processes: ``name{labels' values}``."""
    samples: Counter[str] = Counter()
    async with httpx.AsyncClient() as client:
        for child in mesh.children:
            if child.spec.name in _SERVICES:
                answer = await client.get(f"http://{(child.spec.environment or {})['METRICS_ADDRESS']}/metrics")
                for family in text_string_to_metric_families(answer.text):
                    for sample in family.samples:
                        labels = " ".join(value for name, value in sample.labels.items() if name != "le")
                        samples[f"{sample.name}{{{labels}}}"] += sample.value  # type: ignore[assignment]
    return samples


async def test_an_index_and_two_searches_are_counted_by_what_they_do(mesh: Mesh, ada: Person, collection: Collection, shelf: Path) -> None:
    """Claims and attempts, documents by outcome and reason, tokens, stages, hits of the cache; nothing is left queued or running."""
    (shelf / "good.txt").write_text("the moon pulls the sea")
    (shelf / "empty.txt").write_text("")
    before = await _read(mesh)
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    await ada.client.operations.wait(operation.id)
    for _ in range(2):
        assert await ada.client.search("moon", [collection.id])
    async with asyncio.timeout(20):
        # The last of it is counted after the answer: by the worker, and by the next sweep.
        while (now := await _read(mesh))["semantik_operation_queued{INDEX long}"] or now["semantik_work_running{long}"]:  # noqa: ASYNC110 - it changes in other processes
            await asyncio.sleep(0.1)
    grown = {name: now[name] - before[name] for name in now if now[name] != before[name]}
    for name in (
        "semantik_operation_claims_total{continue INDEX long}",
        "semantik_operation_finished_total{INDEX SUCCEEDED}",
        "semantik_work_attempts_total{INDEX done}",
        "semantik_worker_documents_total{indexed }",
        "semantik_worker_documents_total{skipped EMPTY}",
        "semantik_worker_chunks_total{}",
    ):
        assert grown.get(name) == 1, (name, sorted(grown))
    for name in (
        "semantik_worker_stage_seconds_count{extract}",
        "semantik_worker_stage_seconds_count{embed}",
        "semantik_worker_stage_seconds_count{commit}",
        "semantik_worker_tokens_total{model}",
        "semantik_embedding_tokens_total{bulk all-minilm-l6-v2 INT8}",
        "semantik_index_points_written_total{}",
        "semantik_search_access_total{hit}",
        "semantik_search_hits_count{HYBRID}",
        "semantik_search_access_total{miss}",
        *(f"semantik_search_stage_seconds_count{{{stage}}}" for stage in ("authorize", "embed", "retrieve", "fuse", "read", "present")),
    ):
        assert grown.get(name, 0) >= 1, (name, sorted(grown))


async def test_every_address_of_the_status_is_read(mesh: Mesh, http: httpx.AsyncClient) -> None:
    """Services, worker, vector engine and gateway: Prometheus reads what each of them does, and nothing more is there."""
    assert (await http.get("/healthz")).status_code == 200
    addresses = {process["name"]: process["metrics"] for process in mesh.snapshot()["processes"]}
    assert [name for name, address in addresses.items() if not address] == ["postgres", "redis"]
    expected = {"envoy": "envoy_http_downstream_rq", "worker": "semantik_work_running"}
    async with httpx.AsyncClient() as client:
        for name, address in addresses.items():
            if address:
                families = {family.name for family in text_string_to_metric_families((await client.get(address)).text)}
                assert expected.get(name, "semantik_rpc_handled") in families, (name, sorted(families))
        gateway = addresses["envoy"].removesuffix("/metrics")
        for method, path in (
            ("GET", "/"),
            ("GET", "/stats"),
            ("GET", "/metrics?format=json"),
            ("GET", "/config_dump"),
            ("POST", "/metrics"),
        ):
            assert (await client.request(method, gateway + path)).status_code == 404
