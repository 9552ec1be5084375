"""The embedded engine's process, and the official client talking to it."""

import itertools
import os
import signal
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from deploy.local import ports
from deploy.local.child import Child, Spec
from deploy.local.ready import grpc_health

KEY = "a key"
SIZE = 4
_START_SECONDS = 30.0
_numbers = itertools.count(1)


class Engine:
    """The process over one data directory; ``kill`` is SIGKILL and a new start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._more: dict[str, str] = {}
        chosen = ports.choose(["qdrant", "metrics"], directory / "ports.json", str(directory))
        self.port, self._metrics = chosen["qdrant"], f"127.0.0.1:{chosen['metrics']}"
        self.data = directory / "data"
        self._child = Child(self._spec(), directory)

    def _spec(self) -> Spec:
        environment = {
            **os.environ,
            "LISTEN_ADDRESS": f"127.0.0.1:{self.port}",
            "QDRANT_API_KEY": KEY,
            "DATA_DIR": str(self.data),
            "METRICS_ADDRESS": self._metrics,
            "INDEX_FROM_POINTS": "500",
            "INDEX_LOOK_SECONDS": "0.1",
            **self._more,
        }
        command = [sys.executable, "-P", "-m", "deploy.local.qdrant"]
        return Spec("qdrant", command, grpc_health(self.port), environment=environment, directory=self._directory, port=self.port)

    async def start(self, **environment: str) -> None:
        self._more = environment
        self._child = Child(self._spec(), self._directory)
        self._child.start()
        await self._child.wait_ready(_START_SECONDS)

    async def stop(self) -> None:
        await self._child.stop()

    async def kill(self) -> None:
        os.kill(self._child.pid, signal.SIGKILL)
        await self._child.stop()
        await self.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    async def metrics(self) -> str:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"http://{self._metrics}/metrics")).text

    def client(self, key: str = KEY) -> AsyncQdrantClient:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
            return AsyncQdrantClient(
                host="127.0.0.1", grpc_port=self.port, prefer_grpc=True, https=False, check_compatibility=False, api_key=key or None
            )


@pytest.fixture(scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("qdrant"))
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def client(engine: Engine) -> AsyncIterator[AsyncQdrantClient]:
    client = engine.client()
    yield client
    await client.close()


@pytest.fixture
async def name(client: AsyncQdrantClient) -> str:
    """A fresh collection with payload indexes of every kind."""
    name = f"c{next(_numbers)}"
    vectors = {"dense": q.VectorParams(size=SIZE, distance=q.Distance.COSINE)}
    # The engine compresses segments past 1 kB, which a test can fill.
    optimizers = q.OptimizersConfigDiff(indexing_threshold=1)
    await client.create_collection(name, vectors, hnsw_config=q.HnswConfigDiff(m=16, ef_construct=64), optimizers_config=optimizers)
    kinds: dict[str, q.PayloadSchemaType | q.TextIndexParams | q.KeywordIndexParams] = {
        "group": q.PayloadSchemaType.KEYWORD,
        "path": q.KeywordIndexParams(type=q.KeywordIndexType.KEYWORD, prefix=True),
        "tags": q.PayloadSchemaType.KEYWORD,
        "number": q.PayloadSchemaType.INTEGER,
        "weight": q.PayloadSchemaType.FLOAT,
        "flag": q.PayloadSchemaType.BOOL,
        "moment": q.PayloadSchemaType.DATETIME,
        "text": q.TextIndexParams(
            type=q.TextIndexType.TEXT,
            tokenizer=q.TokenizerType.WORD,
            lowercase=True,
            phrase_matching=True,
            scoring=q.TextScoringParams(type=q.TextScoringType.BM25),
        ),
    }
    for field, kind in kinds.items():
        await client.create_payload_index(name, field, kind, wait=True)
    return name
