"""``make bench-retrieval``: search quality on a judged set in BEIR layout, through the whole mesh; one JSON line at the end."""

import argparse
import asyncio
import json
import math
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deploy.local.supervisor import Options, running
from semantik.client import Client
from services.embedding.catalog.catalog import Catalog
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane
from services.embedding.settings import Settings

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "cranfield"
_DEPTH = 100


def ndcg(ranked: list[str], grades: dict[str, int], depth: int = 10) -> float:
    """Return nDCG at ``depth`` with gains 2^grade - 1 (Jarvelin and Kekalainen, 2002)."""
    gain = sum((2 ** grades.get(document, 0) - 1) / math.log2(rank + 2) for rank, document in enumerate(ranked[:depth]))
    ideal = sorted(grades.values(), reverse=True)[:depth]
    best = sum((2**grade - 1) / math.log2(rank + 2) for rank, grade in enumerate(ideal))
    return gain / best if best else 0.0


def judgements(data: Path) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Return the grades of documents by query, and the queries' texts."""
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (data / "qrels.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        grades[query][document] = int(grade)
    return grades, {each["_id"]: each["text"] for each in map(json.loads, (data / "queries.jsonl").open())}


async def precisions(data: Path, model_dir: Path) -> dict[str, float]:
    """Return nDCG@10 by precision, whole documents ranked exactly by cosine: what eight bits cost, and how sure that is."""
    grades, queries = judgements(data)
    corpus = [json.loads(line) for line in (data / "corpus.jsonl").open()]
    catalog = Catalog(model_dir, "all-minilm-l6-v2")
    engine = Engine(Settings(model_dir=model_dir, mesh_key_file=model_dir / "none.pem"), catalog)
    files = engine.catalog.get("")
    found: dict[str, npt.NDArray[np.float64]] = {}
    for precision in ("FLOAT32", "INT8"):
        texts = [f"{each['title']} {each['text']}" for each in corpus]
        documents = await engine.embed(files, precision, texts, lane=Lane.BULK, is_query=False, truncate=True)
        asked = await engine.embed(files, precision, [queries[query] for query in grades], lane=Lane.BULK, is_query=True, truncate=True)
        order = np.argsort(-(asked.vectors @ documents.vectors.T), axis=1)[:, :10]
        scores = [ndcg([corpus[place]["_id"] for place in places], judged) for places, judged in zip(order, grades.values(), strict=True)]
        found[precision] = np.array(scores)
    engine.close()
    whole, eight = found["FLOAT32"], found["INT8"]
    error = (eight - whole).std() / math.sqrt(len(whole)) / whole.mean()
    numbers = {"float32": whole.mean(), "int8": eight.mean(), "int8_to_float32": eight.mean() / whole.mean(), "standard_error": error}
    return {name: round(float(value), 4) for name, value in numbers.items()}


async def measure(data: Path) -> dict[str, dict[str, float]]:
    """Index the corpus on a fresh mesh and ask every judged query in every mode."""
    grades, queries = judgements(data)
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(prefix="semantik-bench-") as directory:
        results["exact_ndcg_at_10"] = await precisions(data, Path(directory))
        async with running(Options(data_dir=Path(directory), allowed_roots=(data.resolve(),))) as mesh:
            await mesh.start()
            await mesh.wait_ready()
            async with Client(mesh.gateway.removeprefix("http://")) as client:
                await client.accounts.register("bench", "bench@example.org", "bench password")
                collection = await client.collections.create("judged")
                _, operation = await client.sources.add(collection.id, str(data / "corpus.jsonl"))
                await client.operations.wait(operation.id)
                for mode in ("semantic", "keyword", "hybrid"):
                    scores, recalls = [], []
                    for query, judged in grades.items():
                        answer = await client.search(queries[query], [collection.id], mode=mode, limit=_DEPTH)
                        ranked = list(dict.fromkeys(hit.path.rpartition("#")[2] for hit in answer.hits))
                        scores.append(ndcg(ranked, judged))
                        recalls.append(len(set(ranked) & set(judged)) / len(judged))
                    results[mode] = {
                        "ndcg_at_10": round(sum(scores) / len(scores), 4),
                        "recall_at_100": round(sum(recalls) / len(recalls), 4),
                    }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?", default=_DEFAULT)
    data = parser.parse_args().data
    if not (data / "qrels.tsv").exists():
        sys.stderr.write(f"bench-retrieval: skipped, there is no judged set at {data}\n")
        return
    sys.stdout.write(json.dumps({"name": "bench-retrieval", "set": data.name, **asyncio.run(measure(data))}) + "\n")


if __name__ == "__main__":
    main()
