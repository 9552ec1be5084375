"""Runs sentence-transformers and fastembed beside ``embed.py``, in an environment of their own.

The first line out says which of them work; then one name a line in, and one JSON line out.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
_THREADS = 2
_BATCH = 32
Runs = dict[str, Callable[[], Any]]


def sentence_transformers(texts: list[str], model_dir: str, _: str) -> Runs:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(_THREADS)
    model = SentenceTransformer(model_dir, device="cpu")

    def run() -> None:
        model.encode(texts, batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)

    def run_bf16() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            run()

    model.encode(texts[:_BATCH])
    return {"st_fp32": run, "st_bf16": run_bf16}


def fastembed(texts: list[str], _: str, onnx_dir: str) -> Runs:
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    dimension = json.loads((Path(onnx_dir) / "config.json").read_text())["hidden_size"]
    # Pooling by the mean and the norm are in the graph.
    TextEmbedding.add_custom_model(
        model="semantik/peer",
        pooling=PoolingType.DISABLED,
        normalization=False,
        sources=ModelSource(url="https://example.org/never-asked"),
        dim=dimension,
        model_file="model.onnx",
    )
    model = TextEmbedding("semantik/peer", threads=_THREADS, specific_model_path=onnx_dir, providers=["CPUExecutionProvider"])
    list(model.embed(texts[:_BATCH]))
    return {"fastembed_fp32": lambda: list(model.embed(texts, batch_size=_BATCH))}


def main() -> None:
    model_dir, onnx_dir, file = sys.argv[1:]
    texts = json.loads(Path(file).read_text())
    runs: Runs = {}
    left_out: dict[str, str] = {}
    for peer in (sentence_transformers, fastembed):
        try:
            runs |= peer(texts, model_dir, onnx_dir)
        except Exception as error:  # noqa: BLE001 - whatever it was, the others can still be measured
            left_out[peer.__name__] = f"{type(error).__name__}: {error}"
    _write({"ready": list(runs), "left_out": left_out})
    for line in sys.stdin:
        started = time.perf_counter()
        runs[line.strip()]()
        _write({"seconds": time.perf_counter() - started})


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
