"""``make bench-gpu``: the embedder on an NVIDIA card beside the processor, its vectors and its speed; one JSON line at the end."""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.embedding.catalog.catalog import Catalog
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane
from services.embedding.inference.session import CPU, CUDA
from services.embedding.inference.tokens import Tokens
from services.embedding.settings import Settings
from tests.bench.embed import real_texts

_ROUNDS = 5
_CASES = (("cpu_int8", CPU, "INT8"), ("gpu_float32", CUDA, "FLOAT32"), ("gpu_float16", CUDA, "FLOAT16"))
# How close vectors must be to those of FLOAT32 on the processor.
_LEAST_COSINE = {"gpu_float32": 0.9999, "gpu_float16": 0.999}


class Bench:
    """One engine for each provider over the same texts."""

    def __init__(self, directory: Path) -> None:
        self.catalog = Catalog(directory, "all-minilm-l6-v2")
        self.engines = {
            CPU: Engine(_settings(directory, CPU), self.catalog),
            CUDA: Engine(_settings(directory, f"{CUDA},{CPU}"), self.catalog),
        }
        files = self.catalog.get("")
        self.texts = real_texts(Tokens(files))
        self.tokens = sum(Tokens(files).count(self.texts))

    @property
    def has_gpu(self) -> bool:
        return CUDA in self.engines[CUDA].sessions.providers

    async def vectors(self, provider: str, precision: str) -> npt.NDArray[np.float32]:
        engine = self.engines[provider]
        files = engine.catalog.get("")
        embedded = await engine.embed(files, precision, self.texts, lane=Lane.BULK, is_query=False, truncate=True)
        return embedded.vectors

    async def seconds(self, provider: str, precision: str) -> float:
        started = time.perf_counter()
        await self.vectors(provider, precision)
        return time.perf_counter() - started

    def close(self) -> None:
        for engine in self.engines.values():
            engine.close()


async def measure(bench: Bench) -> dict[str, object]:
    exact = await bench.vectors(CPU, "FLOAT32")
    cosines = {name: _cosines(await bench.vectors(provider, precision), exact) for name, provider, precision in _CASES}
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in _CASES}
    for _ in range(_ROUNDS):
        for name, provider, precision in _CASES:
            seconds[name].append(await bench.seconds(provider, precision))
    rates = {name: round(bench.tokens / statistics.median(times)) for name, times in seconds.items()}
    return {
        "tokens_per_second": rates,
        "gpu_float16_to_cpu_int8": round(rates["gpu_float16"] / rates["cpu_int8"], 1),
        "least_cosine": {name: round(float(values.min()), 6) for name, values in cosines.items()},
        "is_equal": all(cosines[name].min() >= least for name, least in _LEAST_COSINE.items()),
        "cores": os.cpu_count(),
        "texts": len(bench.texts),
        "mean_tokens": round(bench.tokens / len(bench.texts), 1),
    }


def _cosines(vectors: npt.NDArray[np.float32], exact: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    cosines: npt.NDArray[np.float64] = np.sum(vectors.astype(np.float64) * exact, axis=1)
    return cosines


def _settings(directory: Path, providers: str) -> Settings:
    return Settings(model_dir=directory, mesh_key_file=directory / "none.pem", providers=providers)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="semantik-bench-") as directory:
        bench = Bench(Path(directory))
        try:
            if not bench.has_gpu:
                return _end({"skipped": "ONNX Runtime finds no NVIDIA card here; it takes one and the extra `gpu` instead of `embedding`"})
            return _end(asyncio.run(measure(bench)))
        finally:
            bench.close()


def _end(result: dict[str, object]) -> int:
    sys.stdout.write(json.dumps({"name": "bench-gpu", **result}) + "\n")
    return 0 if result.get("is_equal", True) else 1


if __name__ == "__main__":
    sys.exit(main())
