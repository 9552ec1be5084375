"""``make bench-soak``: 100,000 texts through the embedding service; its memory on the way, its processor time afterwards."""

import asyncio
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from tests.bench.service import embedding_service

_TEXTS, _CALL_TEXTS, _AT_ONCE, _IDLE_SECONDS = 100_000, 250, 3, 20
_WORDS = ("tide", "moon", "sea", "river", "gate", "engine", "wing", "heat", "plate", "theory", "value", "error", "budget", "letter")


def _texts() -> Iterator[str]:
    """Yield texts that are all different, mostly short, now and then as long as the model reads."""
    random = np.random.default_rng(5)
    for number in itertools.count():
        length = 200 if number % 97 == 0 else int(random.integers(2, 14))
        yield f"{number} " + " ".join(_WORDS[place] for place in random.integers(0, len(_WORDS), length))


async def main() -> None:
    texts = _texts()
    memory: list[float] = []
    with tempfile.TemporaryDirectory(prefix="semantik-bench-") as directory:
        async with embedding_service(Path(directory), threads=2) as (stub, pid):
            process = psutil.Process(pid)

            async def call() -> None:
                part = list(itertools.islice(texts, _CALL_TEXTS))
                request = messages.EmbedBatchRequest(texts=part, lane=messages.LANE_BULK, truncate=True)
                await stub.EmbedBatch(request, timeout=120)

            for done in range(0, _TEXTS, _CALL_TEXTS * _AT_ONCE):
                await asyncio.gather(*(call() for _ in range(min(_AT_ONCE, (_TEXTS - done) // _CALL_TEXTS))))
                memory.append(process.memory_info().rss / 2**20)
            await asyncio.sleep(2)  # what the last call left is put away
            busy = process.cpu_times()
            await asyncio.sleep(_IDLE_SECONDS)
            idle = process.cpu_times()
    tenth = len(memory) // 10
    spent = idle.user + idle.system - busy.user - busy.system
    result = {
        "name": "bench-soak",
        "texts": _TEXTS,
        "rss_mib_after_10k": round(memory[tenth], 1),
        "rss_mib_after_100k": round(memory[-1], 1),
        "rss_mib_most": round(max(memory), 1),
        "idle_cpu_percent": round(100 * spent / _IDLE_SECONDS, 2),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
