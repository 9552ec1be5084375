"""What the worker asks of embedding, search and operation."""

from collections.abc import Iterable, Sequence
from itertools import islice

import grpc
from tokenizers import Tokenizer

from semantik.embedding.v1 import embedding_internal_service_pb2 as embedding_messages
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.search.v1 import index_internal_service_pb2 as index_messages
from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceStub
from services.collection.tables import Generation

_EMBED_SECONDS = 120.0
_UPSERT_CHUNKS = 64
_DELETE_DOCUMENTS = 1000


class Embedder:
    """Embeds passages in the bulk lane; keeps one tokenizer for each model."""

    def __init__(self, embedding: grpc.aio.Channel) -> None:
        self._embedding = EmbeddingInternalServiceStub(embedding)
        self._tokenizers: dict[str, Tokenizer] = {}

    async def tokenizer(self, digest: str) -> Tokenizer:
        """Return the model's tokenizer, neither truncating nor padding."""
        if digest not in self._tokenizers:
            answer = await self._embedding.GetTokenizer(embedding_messages.GetTokenizerRequest(digest=digest))
            tokenizer = Tokenizer.from_str(answer.tokenizer_json.decode())
            tokenizer.no_truncation()
            tokenizer.no_padding()
            self._tokenizers[digest] = tokenizer
        return self._tokenizers[digest]

    async def embed(self, generation: Generation, texts: Sequence[str]) -> list[bytes]:
        """Return one vector for each text, as little-endian 32-bit floats."""
        request = embedding_messages.EmbedBatchRequest(
            texts=texts,
            model=generation.model,
            digest=generation.digest,
            precision=model_pb2.Model.Precision.Value(f"PRECISION_{generation.precision}"),
            lane=embedding_messages.LANE_BULK,
            kind=model_pb2.TEXT_KIND_PASSAGE,
            truncate=True,
        )
        answer = await self._embedding.EmbedBatch(request, timeout=_EMBED_SECONDS)
        width = 4 * answer.dimension
        return [answer.vectors[start : start + width] for start in range(0, len(answer.vectors), width)]


class Index:
    """Writes one generation's index under one claim's fence."""

    def __init__(self, search: grpc.aio.Channel, name: str, fence: int) -> None:
        self._search = IndexInternalServiceStub(search)
        self._name = name
        self._fence = fence

    async def open(self, dimension: int) -> None:
        """Create the index where it is missing and raise its fence."""
        await self._search.CreateIndex(index_messages.CreateIndexRequest(index_name=self._name, dimension=dimension))
        await self._search.FenceIndex(index_messages.FenceIndexRequest(index_name=self._name, fence=self._fence))

    async def upsert(self, chunks: Iterable[index_messages.Chunk]) -> None:
        remaining = iter(chunks)
        while part := list(islice(remaining, _UPSERT_CHUNKS)):
            await self._search.UpsertChunks(index_messages.UpsertChunksRequest(index_name=self._name, fence=self._fence, chunks=part))

    async def delete(self, document_ids: Sequence[str], *, keep_from: int = 0, keep_below: int = 0) -> None:
        """Delete the chunks of documents, but for content versions from ``keep_from`` on and below ``keep_below``."""
        for start in range(0, len(document_ids), _DELETE_DOCUMENTS):
            request = index_messages.DeleteChunksRequest(
                index_name=self._name,
                fence=self._fence,
                document_ids=document_ids[start : start + _DELETE_DOCUMENTS],
                keep_from_version=keep_from,
                keep_below_version=keep_below,
            )
            await self._search.DeleteChunks(request)

    async def drop(self, name: str) -> None:
        """Drop an index of the claimed collection, this one or another generation's."""
        await self._search.DropIndex(index_messages.DropIndexRequest(index_name=name, fence=self._fence))
