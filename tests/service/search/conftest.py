"""Indexes filled through search's own internal service, for collections that exist and for names of our own."""

import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from deploy.local.supervisor import Mesh
from libs.rpc.call import Principal
from libs.rpc.errors import reason_of
from semantik.collection.v1 import collection_internal_service_pb2 as authority
from semantik.collection.v1.collection_internal_service_pb2_grpc import CollectionInternalServiceStub
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.grant_pb2 import Grant
from semantik.embedding.v1 import embedding_internal_service_pb2 as embedding
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.search.v1 import index_internal_service_pb2 as messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from semantik.search.v1.index_pb2 import Chunk, DocumentVersion
from services.search.index.indexes import Indexes
from services.search.qdrant import Qdrant, connect
from tests.conftest import Person

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

SOURCE = "0199aaaa-0000-7000-8000-000000000001"
_numbers = itertools.count(1)
Fill = Callable[..., Awaitable[list[str]]]
MakeChunk = Callable[..., Chunk]
Place = Callable[[Person, Collection], Awaitable[authority.AuthorizedCollection]]


@pytest.fixture
def index(peer: Callable[[str], grpc.aio.Channel]) -> "IndexInternalServiceAsyncStub":
    return IndexInternalServiceStub(peer("search"))


@pytest.fixture
async def name(index: "IndexInternalServiceAsyncStub") -> str:
    """A fresh index for vectors of four numbers, fenced at 5."""
    name = f"test-{next(_numbers)}_model_int8_g1"
    await index.CreateIndex(messages.CreateIndexRequest(index_name=name, dimension=4))
    await index.FenceIndex(messages.FenceIndexRequest(index_name=name, fence=5))
    return name


@pytest.fixture
def chunk() -> Callable[..., Chunk]:
    def make(document_id: str = "", ordinal: int = 0, vector: Sequence[float] = (1, 0, 0, 0), **fields: object) -> Chunk:
        given = {"content_version": 1, "source_id": SOURCE, "text": "some text", "path": "a.txt", "name": "a.txt", **fields}
        raw = np.asarray(vector, "<f4").tobytes()
        return Chunk(document_id=document_id or str(uuid.uuid4()), ordinal=ordinal, vector=raw, **given)  # type: ignore[arg-type]

    return make


@pytest.fixture
def refusal() -> Callable[[Awaitable[object]], Awaitable[tuple[grpc.StatusCode, str]]]:
    """Await a call that must fail; return its code and reason."""

    async def refused(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        return error.value.code(), reason_of(error.value)

    return refused


@pytest.fixture
def place(peer: Callable[[str], grpc.aio.Channel]) -> Place:
    """Ask collection where the active index of a collection is."""
    collections = CollectionInternalServiceStub(peer("collection"))

    async def of(person: Person, collection: Collection) -> authority.AuthorizedCollection:
        principal = Principal(person.user.id, person.user.role).proto()
        request = authority.AuthorizeCollectionsRequest(principal=principal, collection_ids=[collection.id], role=Grant.ROLE_READ)
        [found] = (await collections.AuthorizeCollections(request)).collections
        return found

    return of


@pytest.fixture
def fill(
    peer: Callable[[str], grpc.aio.Channel], index: "IndexInternalServiceAsyncStub", chunk: Callable[..., Chunk], place: Place
) -> Fill:
    """Put texts, one document each, into a collection's active index and publish them; return the documents' ids.

    With a ``document_id`` they are its passages from ``first_ordinal`` on.
    """
    embedder = EmbeddingInternalServiceStub(peer("embedding"))

    async def put(person: Person, collection: Collection, texts: Sequence[str], first_ordinal: int = 0, **fields: object) -> list[str]:
        there = await place(person, collection)
        wanted = embedding.EmbedBatchRequest(texts=texts, model=there.model, digest=there.digest, precision=there.precision)
        answer = await embedder.EmbedBatch(wanted)
        vectors = np.frombuffer(answer.vectors, "<f4").reshape(len(texts), answer.dimension)
        await index.CreateIndex(messages.CreateIndexRequest(index_name=there.index_name, dimension=answer.dimension))
        ordinals = range(first_ordinal, first_ordinal + len(texts)) if "document_id" in fields else itertools.repeat(0, len(texts))
        chunks = [
            chunk(ordinal=ordinal, vector=vector, text=text, start_offset=10, end_offset=10 + len(text), **fields)
            for ordinal, text, vector in zip(ordinals, texts, vectors.tolist(), strict=True)
        ]
        await index.UpsertChunks(messages.UpsertChunksRequest(index_name=there.index_name, fence=1, chunks=chunks))
        documents = [DocumentVersion(document_id=each.document_id, content_version=each.content_version) for each in chunks]
        await index.PublishDocuments(messages.PublishDocumentsRequest(index_name=there.index_name, fence=1, documents=documents))
        return [each.document_id for each in chunks]

    return put


@pytest.fixture
async def qdrant(mesh: Mesh, port_of: Callable[[str], int]) -> AsyncIterator[Qdrant]:
    """The mesh's vector store, past the service."""
    client = connect(f"http://127.0.0.1:{port_of('qdrant')}", mesh.home.secret("qdrant-api-key"), 20)
    yield Qdrant(client, 20)
    await client.close()


@pytest.fixture
def replicas(qdrant: Qdrant) -> list[Indexes]:
    """Two replicas of the service, which share nothing but Qdrant."""
    return [Indexes(qdrant), Indexes(qdrant)]
