"""``make smoke``: the whole promise once, on a fresh mesh; ends with one JSON line.

It needs nothing of the checkout but documents to index (``--small``: few), so that it also runs on installed wheels.
"""

import argparse
import asyncio
import base64
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

import deploy.local.supervisor
from deploy.local import usage
from deploy.local.supervisor import Mesh, Options, running
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity
from semantik.client import Client, SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1 import search_service_pb2
from semantik.search.v1.index_internal_service_pb2 import GetIndexStatsRequest
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub

_ROOT = Path(__file__).resolve().parents[2]
_CRANFIELD = _ROOT.parent / "shared" / "data" / "cranfield" / "corpus.jsonl"
_PASSWORD = "smoke test password"
_DEADLINE = 300


class Smoke:
    """One run; every ``check`` that fails ends it with its name."""

    def __init__(self, data: Path, *, is_small: bool) -> None:
        self._data = data
        is_small = is_small or not _CRANFIELD.exists()
        self._source = _ROOT / "proto" / "semantik" if is_small else _CRANFIELD
        self._query = "lease of an operation" if is_small else "heat transfer in a laminar boundary layer"
        self.documents = 0
        self.start_seconds = 0.0
        self.rss_mib = 0.0

    async def run(self) -> None:
        async with self._mesh() as mesh:
            note(f"started in {mesh.start_seconds} s")
            async with _client(mesh) as client, _client(mesh) as stranger, _http(mesh) as http:
                await client.accounts.register("smoke", "smoke@example.org", _PASSWORD)
                await stranger.accounts.register("stranger", "stranger@example.org", _PASSWORD)
                collection = await self._index(mesh, client, http)
                await self._search(client, http, collection.id)
                await self._again(client, collection.id)
                await self._refuse(stranger, collection.id)
                await self._compare(mesh, collection)
            self.rss_mib = await _memory(mesh)
        async with self._mesh() as mesh:
            self.start_seconds = mesh.start_seconds or 0.0
            note(f"started again in {self.start_seconds} s")
            async with _client(mesh) as client:
                await client.accounts.login("smoke", _PASSWORD)
                answer = await client.search(self._query, [collection.id])
                check("the data is there after a restart", len(answer.hits) == 10)

    @asynccontextmanager
    async def _mesh(self) -> AsyncIterator[Mesh]:
        async with running(Options(data_dir=self._data, allowed_roots=(self._source.parent, self._source))) as mesh:
            await mesh.start()
            await mesh.wait_ready()
            yield mesh

    async def _index(self, mesh: Mesh, client: Client, http: httpx.AsyncClient) -> Collection:
        """Index, watched over gRPC and SSE; the worker is killed in the middle."""
        collection = await client.collections.create("smoke")
        _, operation = await client.sources.add(collection.id, str(self._source))
        sse = asyncio.create_task(_sse(http, _token(client), operation.id))
        killed = False
        last = operation
        async for last in client.operations.watch(operation.id):
            if not killed and last.progress.chunks > 0 and last.state == Operation.STATE_RUNNING:
                worker = next(child for child in mesh.children if child.spec.name == "worker")
                os.kill(worker.pid, signal.SIGKILL)
                killed = True
                note(f"killed the worker after {last.progress.documents_done} of {last.progress.documents_total} documents")
        check("the worker was killed in mid-index", killed)
        check("the watch over gRPC ends SUCCEEDED", last.state == Operation.STATE_SUCCEEDED)
        check("the watch over SSE ends SUCCEEDED", await sse == "STATE_SUCCEEDED")
        self.documents = last.progress.documents_total
        note(f"{last.progress.documents_indexed} documents indexed, {last.progress.chunks} chunks, {last.progress.tokens} tokens")
        return await client.collections.get(collection.id)

    async def _search(self, client: Client, http: httpx.AsyncClient, collection_id: str) -> None:
        """Search over all three faces; they agree."""
        answer = await client.search(self._query, [collection_id])
        found = [(hit.document_id, hit.ordinal) for hit in answer.hits]
        check("a search over gRPC finds ten passages", len(found) == 10)
        body = {"collectionIds": [collection_id], "query": self._query}
        headers = {"authorization": f"Bearer {_token(client)}"}
        response = await http.post("/v1/search", json=body, headers=headers)
        hits = response.json()["hits"]
        check("a search over JSON finds the same", [(hit["documentId"], hit["ordinal"]) for hit in hits] == found)
        web = await _grpc_web(http, headers, search_service_pb2.SearchRequest(collection_ids=[collection_id], query=self._query))
        check("a search over gRPC-Web finds the same", [(hit.document_id, hit.ordinal) for hit in web.hits] == found)
        note(f"a search took {answer.timings.total.ToMicroseconds() / 1000:.1f} ms")

    async def _again(self, client: Client, collection_id: str) -> None:
        [source] = [each async for each in client.sources.list(collection_id)]
        ended = await client.operations.wait((await client.sources.sync(source.id)).id)
        check("a second reading embeds nothing", (ended.state, ended.progress.tokens) == (Operation.STATE_SUCCEEDED, 0))

    async def _refuse(self, stranger: Client, collection_id: str) -> None:
        try:
            await stranger.search(self._query, [collection_id])
        except SemantikError as error:
            check("a stranger gets NOT_FOUND", error.code == "NOT_FOUND")
        else:
            check("a stranger gets NOT_FOUND", held=False)

    async def _compare(self, mesh: Mesh, collection: Collection) -> None:
        """Count the index's points: one for each chunk that Postgres knows."""
        identity = MeshIdentity("smoke", (mesh.home.keys / "mesh.pem").read_bytes())
        port = next(child.spec.port for child in mesh.children if child.spec.name == "search")
        name = f"{collection.id}_{collection.model}_int8_g{collection.generation}"
        async with channels.connect(f"127.0.0.1:{port}", "search", identity) as channel:
            stats = await IndexInternalServiceStub(channel).GetIndexStats(GetIndexStatsRequest(index_name=name))
        check("the index holds each chunk exactly once", stats.point_count == collection.chunk_count)


def check(what: str, held: bool) -> None:
    note(f"{'ok' if held else 'FAILED'}: {what}")
    if not held:
        raise SystemExit(f"smoke: {what}: it does not")


def note(text: str) -> None:
    sys.stderr.write(f"smoke: {text}\n")


def _client(mesh: Mesh) -> Client:
    return Client(mesh.gateway.removeprefix("http://"))


def _http(mesh: Mesh) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=mesh.gateway, timeout=60)


def _token(client: Client) -> str:
    return client.session.tokens.access_token if client.session.tokens else ""


async def _sse(http: httpx.AsyncClient, token: str, operation_id: str) -> str:
    """Watch over SSE to the end; returns the last state."""
    state = ""
    async with http.stream(
        "GET", f"/v1/operations/{operation_id}:watch", headers={"authorization": f"Bearer {token}"}, timeout=None
    ) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data:"):
                state = json.loads(line[5:])["operation"]["state"]
    return state


async def _grpc_web(http: httpx.AsyncClient, headers: dict[str, str], request: Any) -> search_service_pb2.SearchResponse:
    """Call Search as a browser does: one framed message as base64 text."""
    message = request.SerializeToString()
    frame = base64.b64encode(b"\0" + len(message).to_bytes(4, "big") + message)
    kind = {"content-type": "application/grpc-web-text", "accept": "application/grpc-web-text"}
    response = await http.post("/semantik.search.v1.SearchService/Search", content=frame, headers={**headers, **kind})
    # Each part is padded by itself.
    raw = b"".join(base64.b64decode(part) for part in re.findall(rb"[^=]+=*", response.content))
    return search_service_pb2.SearchResponse.FromString(raw[5 : 5 + int.from_bytes(raw[1:5], "big")])


async def _memory(mesh: Mesh) -> float:
    """Return the sum of PSS of all processes, this one with the supervisor included."""
    measured = await asyncio.to_thread(usage.pss_mib, [child.pid for child in mesh.children if child.pid])
    return round(sum(measured.values()) + usage.own_pss_mib(), 1)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="index the protos, also where there is a larger collection")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="semantik-smoke-") as directory:
        smoke = Smoke(Path(directory), is_small=options.small)
        async with asyncio.timeout(_DEADLINE):
            await smoke.run()
    result = {
        "name": "smoke",
        "ok": True,
        "mesh": deploy.local.supervisor.__file__,
        "seconds": round(time.monotonic() - started, 1),
        "documents": smoke.documents,
        "start_seconds": smoke.start_seconds,
        "rss_mib": smoke.rss_mib,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
