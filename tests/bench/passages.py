"""Passages for the benchmarks of search: sentences in new mixtures, and vectors that are the means of the sentences'."""

import asyncio
import json
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deploy.local.supervisor import Mesh
from libs.rpc import channels
from libs.rpc.call import Principal
from libs.rpc.mesh import MeshIdentity
from semantik.auth.v1.user_pb2 import User
from semantik.collection.v1 import collection_internal_service_pb2 as authority
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.collection.v1.grant_pb2 import Grant
from semantik.embedding.v1 import embedding_internal_service_pb2 as embedding
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.search.v1 import index_internal_service_pb2 as index
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from semantik.search.v1.index_pb2 import Chunk, DocumentVersion
from services.search.qdrant import Qdrant, connect, q

if TYPE_CHECKING:
    from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceAsyncStub
    from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceAsyncStub
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

_ROOT = Path(__file__).resolve().parents[2]
_CRANFIELD = _ROOT.parent / "shared" / "data" / "cranfield" / "corpus.jsonl"
_A_CALL, _A_DOCUMENT = 64, 16
_WRITES_AT_ONCE = 4
_QUESTIONS = 20_000
# What an index may have beside its graph over the vectors.
_LOOSE_POINTS = 50_000
_LEAST_WORDS = 4
_SEED = 11
Vectors = npt.NDArray[np.float32]
Passage = tuple[str, bytes]


@dataclass
class Corpus:
    """Sentences with their vectors, and questions that no passage is. A passage has so many ``parts``, cut to ``characters``."""

    sentences: list[str]
    vectors: Vectors
    questions: list[str]
    numbers: np.random.Generator
    parts: int = 6
    characters: int | None = None

    def passages(self, count: int) -> list[Passage]:
        """Return passages that were not there before."""
        picked = self.numbers.integers(0, len(self.sentences), (count, self.parts))
        means = self.vectors[picked].mean(axis=1) + self.numbers.normal(0, 0.01, (count, self.vectors.shape[1]))
        means = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype("<f4")
        texts = (" ".join(self.sentences[place] for place in places)[: self.characters] for places in picked)
        return [(text, vector.tobytes()) for text, vector in zip(texts, means, strict=True)]


@dataclass
class Inside:
    """A mesh as its services and its first user see it."""

    user: User
    qdrant: Qdrant
    embedder: "EmbeddingInternalServiceAsyncStub"
    indexes: "IndexInternalServiceAsyncStub"
    collections: "CollectionInternalServiceAsyncStub"

    async def index_of(self, collection_id: str) -> str:
        principal = Principal(self.user.id, self.user.role).proto()
        request = authority.AuthorizeCollectionsRequest(principal=principal, collection_ids=[collection_id], role=Grant.ROLE_READ)
        [place] = (await self.collections.AuthorizeCollections(request)).collections
        return str(place.index_name)

    async def fill(self, name: str, corpus: Corpus, count: int) -> float:
        """Make an index; write and publish passages; return them a second."""
        await self.indexes.CreateIndex(index.CreateIndexRequest(index_name=name, dimension=corpus.vectors.shape[1]))
        await self.indexes.FenceIndex(index.FenceIndexRequest(index_name=name, fence=1))
        turns, started = asyncio.Semaphore(_WRITES_AT_ONCE), time.perf_counter()
        for start in range(0, count, 64 * _A_CALL):
            passages = corpus.passages(min(64 * _A_CALL, count - start))
            parts = (passages[at : at + _A_CALL] for at in range(0, len(passages), _A_CALL))
            await asyncio.gather(*(_write(self.indexes, turns, name, part) for part in parts))
            if count > 64 * _A_CALL:
                sys.stderr.write(f"\rwritten: {start + len(passages):,} of {count:,} ")
        return count / (time.perf_counter() - started)

    async def settled(self, name: str, seconds: float) -> float:
        """Wait at most so long for the graph over the vectors; return the share of the points that are in it."""
        until = time.perf_counter() + seconds
        while True:
            info = (await self.qdrant.collections("Get", q.GetCollectionInfoRequest(collection_name=name))).result
            if info.points_count - info.indexed_vectors_count < _LOOSE_POINTS or time.perf_counter() > until:
                return float(info.indexed_vectors_count / info.points_count)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def inside(mesh: Mesh, user: User) -> AsyncIterator[Inside]:
    """Connect to the services of a mesh past its gateway."""
    identity = MeshIdentity("bench", (mesh.home.keys / "mesh.pem").read_bytes())
    ports = {child.spec.name: child.spec.port for child in mesh.children}
    client = connect(f"http://127.0.0.1:{ports['qdrant']}", mesh.home.secret("qdrant-api-key"), 60)
    async with (
        channels.connect(f"127.0.0.1:{ports['search']}", "search", identity) as search,
        channels.connect(f"127.0.0.1:{ports['embedding']}", "embedding", identity) as embedder,
        channels.connect(f"127.0.0.1:{ports['collection']}", "collection", identity) as collections,
    ):
        yield Inside(
            user,
            Qdrant(client, 60),
            EmbeddingInternalServiceStub(embedder),
            IndexInternalServiceStub(search),
            CollectionInternalServiceStub(collections),
        )
    await client.close()


async def corpus(embedder: Any, sentences: int, parts: int = 6, characters: int | None = None) -> Corpus:
    """Embed so many sentences; questions are the beginnings of sentences."""
    texts, numbers = _sentences()[:sentences], np.random.default_rng(_SEED)
    vectors = []
    for start in range(0, len(texts), 256):
        request = embedding.EmbedBatchRequest(
            texts=texts[start : start + 256], lane=embedding.LANE_BULK, kind=model_pb2.TEXT_KIND_PASSAGE, truncate=True
        )
        answer = await embedder.EmbedBatch(request, timeout=300)
        vectors.append(np.frombuffer(answer.vectors, "<f4").reshape(-1, answer.dimension))
    words = [sentence.split() for sentence in texts]
    picked = numbers.choice(len(words), _QUESTIONS)
    questions = [" ".join(words[each][: int(numbers.integers(4, 12))]) for each in picked]
    return Corpus(texts, np.concatenate(vectors), list(dict.fromkeys(questions)), numbers, parts, characters)


def _sentences() -> list[str]:
    """Return sentences of a corpus, or of this repository's own documents."""
    if _CRANFIELD.exists():
        texts = [json.loads(line)["text"] for line in _CRANFIELD.open()]
    else:
        texts = [path.read_text() for path in sorted(_ROOT.rglob("*.md")) if ".venv" not in path.parts]
    found = (" ".join(each.split()) for text in texts for each in re.split(r"(?<=[.;:!?])\s+", text))
    return [each for each in dict.fromkeys(found) if len(each.split()) >= _LEAST_WORDS]


async def _write(indexes: "IndexInternalServiceAsyncStub", turns: asyncio.Semaphore, name: str, part: list[Passage]) -> None:
    async with turns:
        documents = [str(uuid.uuid4()) for _ in range(0, len(part), _A_DOCUMENT)]
        chunks = [
            Chunk(
                document_id=documents[number // _A_DOCUMENT], source_id=documents[0], content_version=1, ordinal=number % _A_DOCUMENT,
                text=text, path=f"{documents[number // _A_DOCUMENT]}.txt", name="made.txt", mime_type="text/plain", vector=vector,
            )
            for number, (text, vector) in enumerate(part)
        ]  # fmt: skip
        await indexes.UpsertChunks(index.UpsertChunksRequest(index_name=name, fence=1, chunks=chunks), timeout=120)
        shown = [DocumentVersion(document_id=each, content_version=1) for each in documents]
        await indexes.PublishDocuments(index.PublishDocumentsRequest(index_name=name, fence=1, documents=shown), timeout=120)
