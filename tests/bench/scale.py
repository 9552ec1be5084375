"""``make bench-scale``: one large collection, then many small ones, in a mesh that is started again in between; one JSON line at the end.

Texts are short, vectors made: the means of three sentences' vectors, with noise. A tenth of the points is in the small collections.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from deploy.local.supervisor import Mesh, Options, running
from deploy.local.usage import pss_mib
from semantik.client import Client
from tests.bench.asking import Asked, ask_json, steadily
from tests.bench.passages import Corpus, corpus, inside

_PASSWORD = "correct horse battery staple"
_SENTENCES, _PARTS, _CHARACTERS = 1000, 3, 80
_SMALL = 100
_BLOCK = 512
_MILLION = 1_000_000


def _mib(mesh: Mesh) -> float:
    return sum(pss_mib(child.pid for child in mesh.children).values())


def _disk_mib(directory: Path) -> float:
    return sum(path.stat().st_blocks for path in directory.rglob("*")) * _BLOCK / (1 << 20)


async def _asked(mesh: Mesh, client: Client, ids: Sequence[str], questions: Sequence[str], seconds: float) -> Asked:
    """Search the collections in turn, 20 times a second."""
    async with httpx.AsyncClient(base_url=mesh.gateway, timeout=60) as http:
        numbered = {question: ids[number % len(ids)] for number, question in enumerate(questions)}
        return await steadily(lambda question: ask_json(http, client, numbered[question], question), questions, seconds)


async def _first(mesh: Mesh, client: Client, collection_id: str, question: str) -> float:
    started = time.perf_counter()
    async with httpx.AsyncClient(base_url=mesh.gateway, timeout=600) as http:
        await ask_json(http, client, collection_id, question)
    return (time.perf_counter() - started) * 1000


async def _filled(mesh: Mesh, chunks: int, small: int, build_seconds: float, seconds: float) -> tuple[dict[str, Any], list[str], Corpus]:
    """Fill the collections; return what was measured, their ids (the large one first), and the corpus."""
    async with Client(mesh.gateway.removeprefix("http://")) as client:
        user = await client.accounts.register("bench", "bench@example.org", _PASSWORD)
        async with inside(mesh, user) as within:
            made = await corpus(within.embedder, _SENTENCES, _PARTS, _CHARACTERS)
            empty_mib, collection = _mib(mesh), await client.collections.create("many")
            name = await within.index_of(collection.id)
            written = await within.fill(name, made, chunks)
            started = time.perf_counter()
            graph = await within.settled(name, build_seconds)
            built, filled_mib = time.perf_counter() - started, _mib(mesh)
            asked = await _asked(mesh, client, [collection.id], made.questions[::3], seconds)
            ids, started = [collection.id], time.perf_counter()
            for number in range(small):
                each = await client.collections.create(f"small {number}")
                ids.append(each.id)
                await within.fill(await within.index_of(each.id), made, _SMALL)
            small_seconds = time.perf_counter() - started
    measured = {
        "import_per_s": round(written),
        "build_s": round(built),
        "graph_share": round(graph, 2),
        "mesh_mib": round(filled_mib),
        "mib_per_million": round((filled_mib - empty_mib) * _MILLION / chunks),
        "p50_ms": asked.at(0.5),
        "p99_ms": asked.at(0.99),
        "small_collections": small,
        "small_import_per_s": round(small * _SMALL / small_seconds) if small else None,
    }
    return measured, ids, made


async def _again(mesh: Mesh, ids: list[str], made: Corpus, seconds: float) -> dict[str, Any]:
    """Measure a mesh that was started with everything in it."""
    async with Client(mesh.gateway.removeprefix("http://")) as client:
        await client.accounts.login("bench@example.org", _PASSWORD)
        first = await _first(mesh, client, ids[0], made.questions[1])
        measured: dict[str, Any] = {"start_s": mesh.start_seconds, "first_search_ms": round(first)}
        if ids[1:]:
            opening = await _asked(mesh, client, ids[1:], made.questions[1::3], len(ids[1:]) / 20)
            small = await _asked(mesh, client, ids[1:], made.questions[2::3], seconds)
            measured |= {"small_open_p99_ms": opening.at(0.99), "small_p50_ms": small.at(0.5), "small_p99_ms": small.at(0.99)}
        return {**measured, "mesh_again_mib": round(_mib(mesh))}


async def _run(chunks: int, small: int, build_seconds: float, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="semantik-bench-") as name:
        start = partial(running, Options(data_dir=Path(name) / "data", port=None))
        async with start() as mesh:
            await mesh.start()
            await mesh.wait_ready()
            measured, ids, made = await _filled(mesh, chunks, small, build_seconds, seconds)
        disk = _disk_mib(mesh.home.vectors)
        async with start() as mesh:
            await mesh.start()
            await mesh.wait_ready()
            return {"chunks": chunks, **measured, **await _again(mesh, ids, made, seconds), "disk_mib": round(disk)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=_MILLION)
    parser.add_argument("--collections", type=int, help="small ones, of 100 chunks; a thousandth of the chunks by default")
    parser.add_argument("--build-seconds", type=float, default=3600, help="how long to wait for the graph")
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    small = arguments.chunks // 1000 if arguments.collections is None else arguments.collections
    result = asyncio.run(_run(arguments.chunks, small, arguments.build_seconds, arguments.seconds))
    sys.stdout.write(json.dumps({"name": "bench-scale", **result}) + "\n")


if __name__ == "__main__":
    main()
