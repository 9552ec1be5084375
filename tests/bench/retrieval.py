"""``make bench-retrieval``: search quality on a judged set in BEIR layout, through the whole mesh; one JSON line at the end."""

import argparse
import asyncio
import json
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from deploy.local.supervisor import Options, running
from semantik.client import Client
from semantik.command.evaluating.judged_files import judgements
from semantik.command.evaluating.judged_files import queries as queries_of
from services.embedding.catalog.catalog import Catalog
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane
from services.embedding.settings import Settings
from services.search.evaluation.measures import ndcg, recall

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "cranfield"
# Questions about everyday life, which a judged set of science or software does not answer.
_UNRELATED = Path(__file__).with_name("unrelated.txt").read_text().splitlines()
_DEPTH = 100
_SHOWN = 10


def by_rank(ranked: Sequence[str], judged: Mapping[str, int]) -> list[int]:
    """Return the grades of documents in their order."""
    return [judged.get(document, 0) for document in ranked]


async def precisions(data: Path, model_dir: Path) -> dict[str, float]:
    """Return nDCG@10 by precision, whole documents ranked exactly by cosine: what eight bits cost, and how sure that is."""
    grades, queries = judgements(data), queries_of(data)
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
        ranked = [[corpus[place]["_id"] for place in places] for places in order]
        scores = [ndcg(by_rank(each, judged), judged.values(), _SHOWN) for each, judged in zip(ranked, grades.values(), strict=True)]
        found[precision] = np.array(scores)
    engine.close()
    whole, eight = found["FLOAT32"], found["INT8"]
    error = (eight - whole).std() / math.sqrt(len(whole)) / whole.mean()
    numbers = {"float32": whole.mean(), "int8": eight.mean(), "int8_to_float32": eight.mean() / whole.mean(), "standard_error": error}
    return {name: round(float(value), 4) for name, value in numbers.items()}


async def weak_of_unrelated(client: Client, collection_id: str, mode: str) -> float:
    """Return which part of the first hits for unrelated questions is said to be weak."""
    answers = [await client.search(question, [collection_id], mode=mode, limit=_SHOWN) for question in _UNRELATED]
    weak = [hit.is_weak_match for answer in answers for hit in answer.hits]
    return round(sum(weak) / max(len(weak), 1), 4)


async def measure(data: Path) -> dict[str, dict[str, float]]:
    """Index the corpus on a fresh mesh and ask every judged query in every mode."""
    grades, queries = judgements(data), queries_of(data)
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
                    scores, recalls, weak = [], [], []
                    for query, judged in grades.items():
                        answer = await client.search(queries[query], [collection.id], mode=mode, limit=_DEPTH)
                        ranked = list(dict.fromkeys(hit.path.rpartition("#")[2] for hit in answer.hits))
                        weak += [hit.is_weak_match for hit in answer.hits[:_SHOWN] if judged.get(hit.path.rpartition("#")[2], 0) > 0]
                        scores.append(ndcg(by_rank(ranked, judged), judged.values(), _SHOWN))
                        recalls.append(recall(by_rank(ranked, judged), judged.values(), _DEPTH))
                    results[mode] = {
                        "ndcg_at_10": round(sum(scores) / len(scores), 4),
                        "recall_at_100": round(sum(recalls) / len(recalls), 4),
                        "weak_of_relevant": round(sum(weak) / max(len(weak), 1), 4),
                        "weak_of_unrelated": await weak_of_unrelated(client, collection.id, mode),
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
