"""``make bench-search``: hybrid searches over many passages through the gateway, beside their bare parts; one JSON line at the end.

Passages are real sentences in new mixtures; a passage's vector is the mean of its sentences', made of length 1.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx

from deploy.local.supervisor import Mesh, Options, running
from semantik.client import Client
from semantik.search.v1.search_service_pb2 import SearchRequest, SearchResponse
from services.embedding.catalog.catalog import Catalog
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane
from services.embedding.settings import Settings
from services.search.qdrant import Qdrant, q
from services.search.stages.by_words import by_words
from services.search.stages.request import DEPTH
from tests.bench.asking import RATE, ask_json, bearer, saturated, steadily
from tests.bench.chroma import chroma_p50
from tests.bench.passages import Corpus, corpus, inside

_PASSWORD = "correct horse battery staple"
_SENTENCES = 6000
_BUILD_SECONDS = 600.0
_EXACT_QUERIES, _BARE_QUERIES = 200, 400


async def _bare(qdrant: Qdrant, name: str, home: Path, questions: Sequence[str]) -> dict[str, float]:
    """Time the embedding of a question in this process, and the store's two queries; and compare the graph with all vectors."""
    (home / "models").mkdir()
    catalog = Catalog(home / "models", "all-minilm-l6-v2")
    engine = Engine(Settings(model_dir=home / "models", mesh_key_file=home / "none.pem"), catalog)
    files, embedded, queried = engine.catalog.get(""), list[float](), list[float]()
    same: list[float] = []
    for question in questions:
        started = time.perf_counter()
        vector = (await engine.embed(files, "INT8", [question], lane=Lane.INTERACTIVE, is_query=True, truncate=True)).vectors[0]
        embedded.append(time.perf_counter() - started)
        nearest = q.Query(nearest=q.VectorInput(dense=q.DenseVector(data=vector.tolist())))
        dense = q.QueryPoints(collection_name=name, query=nearest, using="dense", limit=DEPTH)
        words = q.QueryPoints(collection_name=name, **by_words(question, {"limit": DEPTH}))
        started = time.perf_counter()
        answer = await qdrant.points("QueryBatch", q.QueryBatchPoints(collection_name=name, query_points=[dense, words]))
        queried.append(time.perf_counter() - started)
        if len(same) < _EXACT_QUERIES:
            exact = q.QueryPoints(collection_name=name, query=nearest, using="dense", limit=10, params=q.SearchParams(exact=True))
            truth = {point.id.uuid for point in (await qdrant.points("Query", exact)).result}
            same.append(len(truth & {point.id.uuid for point in answer.result[0].result[:10]}) / len(truth))
    engine.close()
    return {
        "embed_ms": statistics.median(embedded) * 1000,
        "store_ms": statistics.median(queried) * 1000,
        "recall_at_10": statistics.mean(same),
    }


@asynccontextmanager
async def _indexing(client: Client, made: Corpus, directory: Path) -> AsyncIterator[None]:
    """Index a folder in the bulk lane during the block."""
    folder = directory / "bulk"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number}.txt").write_text("\n\n".join(text for text, _ in made.passages(40)))
    collection = await client.collections.create("bulk")
    _, operation = await client.sources.add(collection.id, str(folder))
    async for state in client.operations.watch(operation.id):
        if state.progress.chunks_embedded:
            break
    yield
    if (await client.operations.get(operation.id)).HasField("finish_time"):
        raise RuntimeError("the bulk index ended before the searches did: they were not loaded")
    await client.operations.cancel(operation.id)


async def measure(mesh: Mesh, directory: Path, chunks: int, seconds: float, peer: Path | None) -> dict[str, Any]:
    """Fill a collection and search it."""
    address = mesh.gateway.removeprefix("http://")
    async with (
        Client(address) as client,
        grpc.aio.insecure_channel(address) as gateway,
        httpx.AsyncClient(base_url=mesh.gateway, timeout=60) as http,
    ):
        user = await client.accounts.register("bench", "bench@example.org", _PASSWORD)
        collection = await client.collections.create("many")
        method: Any = gateway.unary_unary("/semantik.search.v1.SearchService/Search", response_deserializer=SearchResponse.FromString)
        by_json = partial(ask_json, http, client, collection.id)

        async def by_grpc(question: str) -> SearchResponse:
            content = SearchRequest(query=question, collection_ids=[collection.id]).SerializeToString()
            response: SearchResponse = await method(content, metadata=(("authorization", bearer(client)),), timeout=60)
            return response

        async with inside(mesh, user) as within:
            made = await corpus(within.embedder, _SENTENCES)
            name = await within.index_of(collection.id)
            written = await within.fill(name, made, chunks)
            graph = await within.settled(name, _BUILD_SECONDS)
            # No question twice: search keeps the vectors of those it was asked.
            several = [made.questions[number::7] for number in range(7)]
            await steadily(by_grpc, several[0], 3)
            asked_json = await steadily(by_json, several[1], seconds)
            asked = await steadily(by_grpc, several[2], seconds)
            rate, longest = await saturated(by_grpc, several[3], seconds)
            bare = await _bare(within.qdrant, name, directory, several[4][:_BARE_QUERIES])
        async with _indexing(client, made, directory):
            loaded = await steadily(by_json, several[5], seconds)
            _, loaded_longest = await saturated(by_grpc, several[3][::-1], seconds)
    model_dir = Catalog(directory / "models", "all-minilm-l6-v2").get("").directory
    peer_p50 = await chroma_p50(peer, model_dir, made, chunks, several[6][: int(seconds * RATE)], directory / "peer")
    return {
        "chunks": chunks,
        "written_per_s": round(written),
        "graph_share": round(graph, 2),
        **{f"json_p{round(share * 100)}_ms": asked_json.at(share) for share in (0.5, 0.95, 0.99)},
        **{f"grpc_p{round(share * 100)}_ms": asked.at(share) for share in (0.5, 0.95, 0.99)},
        "stages_p50_ms": {name: round(statistics.median(times), 2) for name, times in asked.stages.items()},
        "saturation_rps": round(rate, 1),
        "saturated_longest_ms": round(longest),
        "loaded_longest_ms": round(loaded_longest),
        **{name: round(value, 3) for name, value in bare.items()},
        "to_bare": round(asked.at(0.5) / (bare["embed_ms"] + bare["store_ms"]), 2),
        "loaded_p99_ratio": round(loaded.at(0.99) / asked_json.at(0.99), 2),
        "peer_p50_ms": None if peer_p50 is None else round(peer_p50, 2),
        "peer_p50_ratio": None if peer_p50 is None else round(asked_json.at(0.5) / peer_p50, 2),
    }


async def _run(chunks: int, seconds: float, peer: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="semantik-bench-") as name:
        directory = Path(name)
        async with running(Options(data_dir=directory / "data", port=None, allowed_roots=(directory,))) as mesh:
            await mesh.start()
            await mesh.wait_ready()
            return await measure(mesh, directory, chunks, seconds, peer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--peer", type=Path, help="the Python of the environment with Chroma and sentence-transformers")
    arguments = parser.parse_args()
    result = asyncio.run(_run(arguments.chunks, arguments.seconds, arguments.peer))
    sys.stdout.write(json.dumps({"name": "bench-search", **result}) + "\n")


if __name__ == "__main__":
    main()
