"""``make bench-rpc``: what a call costs a service, beside a bare grpc.aio echo with the same client in the same run.

Rates are calls per second of the server process's own processor time, so that neither the client nor the neighbours on
the machine count; the wall's rates stand beside them. ``p50_ms`` is GetCollection's, straight, one call at a time.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import psutil
import uvloop
from google.protobuf.message import Message

from deploy.local.supervisor import Mesh, Options, running
from libs.rpc.proof import GATEWAY_HEADER, gateway_proof
from semantik.auth.v1.user_service_pb2 import GetMeRequest
from semantik.client import Client
from semantik.collection.v1.collection_service_pb2 import GetCollectionRequest
from semantik.embedding.v1.model_service_pb2 import GetModelRequest
from semantik.search.v1 import search_service_pb2

_CHANNELS, _AT_ONCE = 4, 32
_WARM_SECONDS = 0.5
_TEXTS = ("the tide follows the moon", "a gate in the river wall", "heat on a flat plate", "the theory of value")


@dataclass
class Case:
    """One RPC at one address; the lists hold a figure for each round."""

    name: str
    address: str
    method: str
    request: bytes
    metadata: Sequence[tuple[str, str]]
    process: psutil.Process
    per_core_second: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)


@asynccontextmanager
async def _channels(case: Case) -> AsyncIterator[list[Callable[..., Any]]]:
    async with AsyncExitStack() as stack:
        options = [("grpc.use_local_subchannel_pool", 1)]
        opened = [await stack.enter_async_context(grpc.aio.insecure_channel(case.address, options)) for _ in range(_CHANNELS)]
        yield [channel.unary_unary(case.method) for channel in opened]


async def _measure(case: Case, seconds: float) -> None:
    async with _channels(case) as methods:
        done = 0

        async def ask(method: Callable[..., Any], until: float) -> None:
            nonlocal done
            while time.perf_counter() < until:
                await method(case.request, metadata=case.metadata, timeout=30)
                done += 1

        async def load(length: float) -> None:
            until = time.perf_counter() + length
            await asyncio.gather(*(ask(methods[number % _CHANNELS], until) for number in range(_AT_ONCE)))

        await load(_WARM_SECONDS)
        done, started, spent = 0, time.perf_counter(), sum(case.process.cpu_times()[:2])
        await load(seconds)
        case.per_second.append(done / (time.perf_counter() - started))
        case.per_core_second.append(done / (sum(case.process.cpu_times()[:2]) - spent))
        single = []
        for _ in range(200):
            started = time.perf_counter()
            await methods[0](case.request, metadata=case.metadata, timeout=30)
            single.append(time.perf_counter() - started)
        case.p50_ms.append(statistics.median(single) * 1000)


@asynccontextmanager
async def _echo() -> AsyncIterator[tuple[str, psutil.Process]]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-P", "-m", "tests.bench.rpc_echo", stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"127.0.0.1:{port}", psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _prepared(mesh: Mesh, directory: Path) -> tuple[str, dict[str, tuple[str, str, Message]]]:
    """Register a user with one small collection; return its token, and each RPC by name: service, path, request."""
    async with Client(mesh.gateway.removeprefix("http://")) as client:
        await client.accounts.register("bench", "bench@example.org", "correct horse battery staple")
        collection = await client.collections.create("bench")
        for number, text in enumerate(_TEXTS):
            file = directory / f"{number}.txt"
            file.write_text(text)
            _, operation = await client.documents.upload(collection.id, file)
            async for _ in client.operations.watch(operation.id):
                pass
        assert client.session.tokens is not None
        token = client.session.tokens.access_token
    keyword = search_service_pb2.SearchRequest(query="river", collection_ids=[collection.id], mode=search_service_pb2.SEARCH_MODE_KEYWORD)
    return token, {
        "get_model": ("embedding", "semantik.embedding.v1.ModelService/GetModel", GetModelRequest(model_id="all-minilm-l6-v2")),
        "get_me": ("auth", "semantik.auth.v1.UserService/GetMe", GetMeRequest()),
        "get_collection": (
            "collection",
            "semantik.collection.v1.CollectionService/GetCollection",
            GetCollectionRequest(collection_id=collection.id),
        ),
        "search": ("search", "semantik.search.v1.SearchService/Search", keyword),
    }


async def _run(seconds: float, rounds: int) -> list[Case]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="semantik-bench-")))
        address, echo = await stack.enter_async_context(_echo())
        mesh = await stack.enter_async_context(running(Options(data_dir=directory, port=None)))
        await mesh.start()
        await mesh.wait_ready()
        token, rpcs = await _prepared(mesh, directory)
        gateway = mesh.gateway.removeprefix("http://")
        proof = gateway_proof((mesh.home.keys / "mesh.pem").read_bytes())
        bearer = (("authorization", f"Bearer {token}"), (GATEWAY_HEADER, proof))
        cases = [Case("bare", address, "/bench.Echo/Echo", b"x" * 64, (), echo)]
        for name, (service, method, request) in rpcs.items():
            spec, pid = next((child.spec, child.pid) for child in mesh.children if child.spec.name == service)
            for suffix, where in (("", f"127.0.0.1:{spec.port}"), ("_envoy", gateway)):
                cases.append(Case(name + suffix, where, f"/{method}", request.SerializeToString(), bearer, psutil.Process(pid)))
        for _ in range(rounds):
            for case in cases:
                await _measure(case, seconds)
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each RPC is called in a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cases = {case.name: case for case in uvloop.run(_run(options.seconds, options.rounds))}
    bare = statistics.median(cases["bare"].per_core_second)
    ratios = {}
    for case in cases.values():
        rate = statistics.median(case.per_core_second)
        ratios[case.name] = round(rate / bare, 3)
        print(
            f"{case.name:22} {rate:8.0f}/core-s {statistics.median(case.per_second):8.0f}/s"
            f" {statistics.median(case.p50_ms):7.2f} ms {rate / bare:6.3f} of bare"
        )
    result: dict[str, Any] = {"name": "bench-rpc", "bare_rps": round(bare)}
    result |= {f"{name}_to_bare": ratios[name] for name in ("get_model", "get_me", "get_collection", "search")}
    result["p50_ms"] = round(statistics.median(cases["get_collection"].p50_ms), 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
