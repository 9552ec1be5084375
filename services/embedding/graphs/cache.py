"""The finished graphs on disk: ``<MODEL_DIR>/.graphs/<digest>/<precision>.onnx``, each beside the digest of its own bytes."""

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from services.embedding import blocking, child, metrics
from services.embedding.catalog.digests import sha256
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles
from services.embedding.catalog.staging import staged

log = logging.getLogger(__name__)
_BUILD_SECONDS = 900
_BUILDS_AT_ONCE = 2


@dataclass(frozen=True)
class Graph:
    """A graph on disk and the file that holds its SHA-256."""

    path: Path
    manifest: Path

    def check(self, files: ModelFiles) -> None:
        """Raise ModelDamagedError for bytes that are not those that were built; reads them all."""
        expected = json.loads(self.manifest.read_text())["sha256"]
        if not self.path.exists() or sha256(self.path) != expected:
            fault = f"{self.path.name} is truncated or altered; delete {self.path.parent}, and it is built again"
            raise ModelDamagedError(files.id, fault)


class Graphs:
    """Builds the graphs that are missing, two at a time at most, each in a process of its own.

    Where products of eight bits ``saturate``, INT8 has a graph of its own: another processor may use the same directory.
    """

    def __init__(self, model_dir: Path, *, saturates: bool) -> None:
        self._model_dir = model_dir
        self._saturates = saturates
        self._places = asyncio.Semaphore(_BUILDS_AT_ONCE)

    async def get(self, files: ModelFiles, precision: str, *, padded: bool) -> Graph:
        """Return a model's graph, built where it is not yet; ``files.digest`` is known by now. Raises ModelDamagedError."""
        directory = self._model_dir / ".graphs" / files.digest
        flags = [*(["padded"] if padded else []), *(["saturates"] if self._saturates and precision == "INT8" else [])]
        name = "-".join([precision.lower(), *flags])
        graph = Graph(directory / f"{name}.onnx", directory / f"{name}.json")
        if not graph.manifest.exists():
            async with self._places:
                await self._build(files, precision, graph, flags)
        return graph

    async def _build(self, files: ModelFiles, precision: str, graph: Graph, flags: list[str]) -> None:
        log.info("building the %s graph of %s", precision, files.id)
        started = time.monotonic()
        async with staged(self._model_dir, f"{files.id}.{precision.lower()}") as scratch:
            built = scratch / graph.path.name
            arguments = ["--id", files.id, "--directory", str(files.directory), "--precision", precision, "--out", str(built)]
            try:
                async with asyncio.timeout(_BUILD_SECONDS):
                    ended = await child.run(
                        "services.embedding.graphs.build", [*arguments, *(f"--{flag}" for flag in flags)], lambda _: None
                    )
            except TimeoutError:
                raise ModelDamagedError(files.id, f"its graph cannot be built: it takes longer than {_BUILD_SECONDS} s") from None
            if ended.status:
                raise ModelDamagedError(files.id, f"its graph cannot be built: {' '.join(ended.complaint.splitlines()[-1:])}")
            await blocking.run(lambda: _move(built, graph))
        metrics.graph_built(files.id, precision, time.monotonic() - started)


def _move(built: Path, graph: Graph) -> None:
    """Move a whole graph to its place. Two processes may build at once: each writes equal bytes, and the manifest comes last."""
    graph.path.parent.mkdir(parents=True, exist_ok=True)
    manifest = built.with_suffix(".json")
    manifest.write_text(json.dumps({"sha256": sha256(built)}))
    built.rename(graph.path)
    manifest.rename(graph.manifest)
