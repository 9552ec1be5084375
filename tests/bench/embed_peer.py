"""Runs sentence-transformers beside ``embed.py``, in an environment of its own: one command a line in, one JSON line out."""

import json
import os
import sys
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"


def main() -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(2)
    texts = json.loads(Path(sys.argv[2]).read_text())
    model = SentenceTransformer(sys.argv[1], device="cpu")

    def run() -> None:
        model.encode(texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False)

    def run_bf16() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            run()

    runs = {"st_fp32": run, "st_bf16": run_bf16}
    model.encode(texts[:32])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        started = time.perf_counter()
        runs[line.strip()]()
        sys.stdout.write(json.dumps({"seconds": time.perf_counter() - started}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
