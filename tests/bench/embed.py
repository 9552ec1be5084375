"""``make bench-embed``: our embedder beside others on the same texts and cores, alternating; one JSON line at the end."""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from prometheus_client import REGISTRY

from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from services.embedding.catalog.catalog import Catalog
from services.embedding.inference.batches import arrays
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane
from services.embedding.inference.priority import SWITCH_SECONDS
from services.embedding.inference.tokens import Tokenized, Tokens
from services.embedding.settings import Settings
from tests.bench.peers import Peers
from tests.bench.service import embedding_service

if TYPE_CHECKING:
    from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceAsyncStub

_ROOT = Path(__file__).resolve().parents[2]
_CRANFIELD = _ROOT.parent / "shared" / "data" / "cranfield" / "corpus.jsonl"
_TEXTS, _ROUNDS, _THREADS, _CALL_TEXTS = 1000, 5, 2, 256
_QUERIES = 1000
_QUERY_ROUNDS = 5
_LARGE_CALLS, _LARGE_TEXTS, _SMALL_CALLS = 4, 32, 60
_LOOPS, _LOOP_SECONDS = 2, 60
_LOOP = f"import time\nend = time.monotonic() + {_LOOP_SECONDS}\nwhile time.monotonic() < end: pass"
_LAYERS, _WIDTH, _INNER = 6, 384, 1536  # of the default model
Run = Callable[[], Awaitable[None]]


def real_texts(tokens: Tokens) -> list[str]:
    """Return 1,000 texts of 8-256 tokens, mean about 165, of a corpus or of this repository's own documents."""
    if _CRANFIELD.exists():
        whole = [json.loads(line)["text"] for line in _CRANFIELD.open()]
    else:
        whole = [path.read_text() for path in sorted(_ROOT.rglob("*.md")) if ".venv" not in path.parts]
    words = " ".join(whole).split()
    lengths = np.clip(np.random.default_rng(7).normal(148, 58, _TEXTS), 6, 192).astype(int)
    texts, at = [], 0
    for length in lengths:
        texts.append(" ".join(words[at : at + length]))
        at = (at + length) % (len(words) - 200)
    return [text for text, count in zip(texts, tokens.count(texts), strict=True) if 8 <= count <= 256]


def sgemm_gflops() -> float:
    """Return the machine's float32 matrix rate with two threads, the best of five."""
    left, right = np.random.default_rng(1).random((2, 1536, 1536), dtype=np.float32)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(4):
            left @ right
        best = max(best, 4 * 2 * 1536**3 / (time.perf_counter() - started) / 1e9)
    return best


class Bench:
    def __init__(self, engine: Engine, stub: "EmbeddingInternalServiceAsyncStub", texts: list[str], peers: Peers) -> None:
        self.engine, self.stub, self.texts = engine, stub, texts
        self.files = engine.catalog.get("")
        self.tokenized: list[Tokenized] = Tokens(self.files).tokenize(texts)
        self.tokens = sum(len(text.ids) for text in self.tokenized)
        self.pool = ThreadPoolExecutor(_THREADS)
        self.peers = peers

    @property
    def flop_per_token(self) -> float:
        """The model's matrix products over these texts: four square ones and two wide ones a layer, and attention's two."""
        linear = 2 * (4 * _WIDTH * _WIDTH + 2 * _WIDTH * _INNER) * self.tokens
        attention = 2 * sum(2 * len(text.ids) ** 2 * _WIDTH for text in self.tokenized)
        return _LAYERS * (linear + attention) / self.tokens

    async def ort_int8(self) -> None:
        """Run the bare session on what was tokenised before; its ideal batch is one text (DECISIONS.md says why)."""
        session = (await self.engine.load(self.files, "INT8")).session
        loop = asyncio.get_running_loop()
        inputs = [arrays([text]) for text in self.tokenized]
        await asyncio.gather(*(loop.run_in_executor(self.pool, session._computed, values) for values in inputs))

    async def engine_int8(self) -> None:
        await self.engine.embed(self.files, "INT8", self.texts, lane=Lane.BULK, is_query=False, truncate=True)

    async def service_int8(self) -> None:
        """Send calls of 256 texts, two under way at a time, as the worker's batches do."""
        places = asyncio.Semaphore(2)

        async def call(part: list[str]) -> None:
            async with places:
                await self.stub.EmbedBatch(messages.EmbedBatchRequest(texts=part, lane=messages.LANE_BULK, truncate=True), timeout=120)

        await asyncio.gather(*(call(self.texts[start : start + _CALL_TEXTS]) for start in range(0, len(self.texts), _CALL_TEXTS)))

    async def small_calls(self) -> float:
        """Return the time of a call of two texts while another caller keeps calls of 8k tokens going, in times of one such text.

        A text's time is what one thread takes for a text of the large calls in the same minute.
        """
        long_texts = [" ".join(self.texts[number : number + 4])[:2000] for number in range(_LARGE_TEXTS * _LARGE_CALLS)]
        computed = 0

        async def large(number: int) -> None:
            nonlocal computed
            while True:
                part = long_texts[number * _LARGE_TEXTS : (number + 1) * _LARGE_TEXTS]
                await self.stub.EmbedBatch(messages.EmbedBatchRequest(texts=part, lane=messages.LANE_BULK, truncate=True), timeout=120)
                computed += _LARGE_TEXTS

        load = [asyncio.create_task(large(number)) for number in range(_LARGE_CALLS)]
        times, start = [], time.perf_counter()
        for number in range(_SMALL_CALLS):
            await asyncio.sleep(0.3)
            started = time.perf_counter()
            request = messages.EmbedBatchRequest(texts=[f"wing {number}", f"tail {number}"], lane=messages.LANE_BULK)
            await self.stub.EmbedBatch(request, timeout=120)
            times.append(time.perf_counter() - started)
        text_seconds = (time.perf_counter() - start) * _THREADS / max(computed, 1)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
        return statistics.median(times) / text_seconds

    async def beside_loops(self) -> float:
        """Return the rate of bulk work beside a busy loop on each core, in times of its rate without."""
        rates = []
        for loops in (0, _LOOPS, 0):
            foreign = [await asyncio.create_subprocess_exec(sys.executable, "-c", _LOOP) for _ in range(loops)]
            try:
                await self.engine_int8()
                started = time.perf_counter()
                await self.engine_int8()
                rates.append(self.tokens / (time.perf_counter() - started))
            finally:
                for process in foreign:
                    process.kill()
                    await process.wait()
        return 2 * rates[1] / (rates[0] + rates[2])

    async def queries(self) -> list[float]:
        """Return the milliseconds of single queries in process."""
        times = []
        for number in range(_QUERIES):
            started = time.perf_counter()
            await self.engine.embed(
                self.files, "INT8", [f"heat transfer on wing {number}"], lane=Lane.INTERACTIVE, is_query=True, truncate=True
            )
            times.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(0.005)
        return times

    async def loaded_queries(self) -> list[float]:
        """Return the same while bulk work never ends."""

        async def bulk() -> None:
            while True:
                await self.engine_int8()

        load = asyncio.create_task(bulk())
        try:
            return await self.queries()
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)


async def measure(bench: Bench) -> dict[str, object]:
    runs: dict[str, Run] = {"ort_int8": bench.ort_int8, "engine_int8": bench.engine_int8, "service_int8": bench.service_int8}
    seconds: dict[str, list[float]] = {name: [] for name in [*runs, *bench.peers.names]}
    for run in runs.values():
        await run()
    gemm = []
    for _ in range(_ROUNDS):
        gemm.append(await asyncio.to_thread(sgemm_gflops))
        for name, times in seconds.items():
            if name in runs:
                started = time.perf_counter()
                await runs[name]()
                times.append(time.perf_counter() - started)
            else:
                times.append(await asyncio.to_thread(bench.peers.seconds, name))
    idle, ratios = [], []
    for _ in range(_QUERY_ROUNDS):
        idle.append(await bench.queries())
        ratios.append(np.percentile(await bench.loaded_queries(), 99) / np.percentile(idle[-1], 99))
    small = await bench.small_calls()
    beside = await bench.beside_loops()
    rates = {name: round(bench.tokens / statistics.median(times)) for name, times in seconds.items()}
    return {
        "tokens_per_second": rates,
        "service_to_ort": round(rates["service_int8"] / rates["ort_int8"], 3),
        "service_to_st_fp32": round(rates["service_int8"] / rates["st_fp32"], 2) if "st_fp32" in rates else None,
        "ort_to_4x_sgemm": round(rates["ort_int8"] * bench.flop_per_token / 1e9 / (4 * statistics.median(gemm)), 3),
        "padding_waste": round(_counted("padding_tokens") / _counted("tokens"), 4),
        "query_p50_ms": round(float(np.percentile(idle, 50)), 2),
        "query_p99_ms": round(float(np.percentile(idle, 99)), 2),
        "small_call_to_text": round(small, 1),
        "beside_loops": round(beside, 3),
        "query_loaded_p99_ratio": round(float(statistics.median(ratios)), 2),
        "sgemm_gflops": round(statistics.median(gemm)),
        "mean_tokens": round(bench.tokens / len(bench.texts), 1),
    }


def _counted(name: str) -> float:
    """Return what the engine's own metrics say of its bulk lane."""
    labels = {"model": "all-minilm-l6-v2", "precision": "INT8", "lane": "bulk"}
    return REGISTRY.get_sample_value(f"semantik_embedding_{name}_total", labels) or 0.0


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="the Python that has sentence-transformers and fastembed")
    options = parser.parse_args()
    # As the service does.
    sys.setswitchinterval(SWITCH_SECONDS)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with tempfile.TemporaryDirectory(prefix="semantik-bench-") as directory:
        home = Path(directory)
        async with embedding_service(home, _THREADS) as (stub, _):
            catalog = Catalog(home, "all-minilm-l6-v2")
            engine = Engine(Settings(model_dir=home, mesh_key_file=home / "mesh.pem", bulk_threads=_THREADS), catalog)
            files = engine.catalog.get("")
            texts = real_texts(Tokens(files))
            with await asyncio.to_thread(Peers, options.peer, files, texts, home) as peers:
                result = await measure(Bench(engine, stub, texts, peers))
            engine.close()
    sys.stdout.write(json.dumps({"name": "bench-embed", **result}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
