"""The peer of ``search.py``: Chroma's server with sentence-transformers over the same weights, by meaning alone, without accounts."""

import asyncio
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deploy.local.ports import is_free
from tests.bench.passages import Corpus

_SCRIPT = Path(__file__).with_name("search_peer.py")
_LINE_BYTES = 1 << 24


async def chroma_p50(
    python: Path | None, model_dir: Path, corpus: Corpus, count: int, questions: Sequence[str], home: Path
) -> float | None:
    """Return the median of its searches in ms; None where its environment is not there, or it does not work."""
    if python is None or not python.exists():
        sys.stderr.write("bench-search: the environment of the peer is not there; it is left out\n")
        return None
    home.mkdir()
    passages = corpus.passages(count)
    (home / "texts.json").write_text(json.dumps([text for text, _ in passages]))
    np.save(home / "vectors.npy", np.frombuffer(b"".join(vector for _, vector in passages), "<f4").reshape(count, -1))
    port = next(number for number in range(20100, 30000) if is_free(number))
    log = (home / "peer.log").open("w")
    peer = await asyncio.create_subprocess_exec(
        str(python), str(_SCRIPT), str(model_dir), str(home), str(port),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=_LINE_BYTES,
    )  # fmt: skip
    assert peer.stdin is not None
    assert peer.stdout is not None
    try:
        if not await peer.stdout.readline():
            last = (home / "peer.log").read_text().strip().rpartition("\n")[2]
            sys.stderr.write(f"bench-search: the peer does not work and is left out: {last}\n")
            return None
        peer.stdin.write(json.dumps(list(questions)).encode() + b"\n")
        peer.stdin.close()
        return float(statistics.median(json.loads(await peer.stdout.readline())["ms"]))
    finally:
        log.close()
        await peer.wait()
