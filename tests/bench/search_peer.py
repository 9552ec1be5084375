"""Runs Chroma's server, as its users do, beside ``search.py``: sentence-transformers in the client, vectors over HTTP.

In an environment of its own. The first line out says that it is ready; then one JSON list of questions a line in, and one JSON line out.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ANONYMIZED_TELEMETRY"] = "False"
_BATCH = 1000
_START_SECONDS = 60.0
_RATE = 20


def main() -> None:
    model_dir, data, port = sys.argv[1:]
    server = subprocess.Popen(
        [str(Path(sys.executable).with_name("chroma")), "run", "--path", f"{data}/chroma", "--host", "127.0.0.1", "--port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _serve(model_dir, Path(data), int(port))
    finally:
        server.terminate()
        server.wait()


def _serve(model_dir: str, data: Path, port: int) -> None:
    import numpy as np
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(model_dir, device="cpu")
    collection = _client(port).create_collection("passages", metadata={"hnsw:space": "cosine"})
    texts, vectors = json.loads((data / "texts.json").read_text()), np.load(data / "vectors.npy")
    started = time.perf_counter()
    for at in range(0, len(texts), _BATCH):
        numbers = range(at, min(at + _BATCH, len(texts)))
        collection.add(
            ids=[str(number) for number in numbers], documents=texts[at : at + _BATCH], embeddings=vectors[at : at + _BATCH].tolist()
        )
    _write({"written_per_s": len(texts) / (time.perf_counter() - started)})
    for line in sys.stdin:
        _write({"ms": _ask(collection, model, json.loads(line))})


def _ask(collection: Any, model: Any, questions: list[str]) -> list[float]:
    """Ask 20 times a second; one at a time, as one client does."""
    spent, started = [], time.perf_counter()
    for number, question in enumerate(questions):
        due = started + number / _RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        vector = model.encode([question], normalize_embeddings=True, show_progress_bar=False)[0].tolist()
        collection.query(query_embeddings=[vector], n_results=10)
        spent.append((time.perf_counter() - began) * 1000)
    return spent


def _client(port: int) -> Any:
    import chromadb

    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            return chromadb.HttpClient(host="127.0.0.1", port=port)
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
