"""What the worker asks of embedding: vectors in the bulk lane, and tokenizers."""

from collections.abc import Sequence

import grpc
from tokenizers import Tokenizer

from libs.work.report import Report
from libs.work.retry import patiently
from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from services.collection.chunking.tokens import TokenReader
from services.collection.tables import Generation

_SECONDS = 120.0
_PEER = "embedding"


class Embedder:
    """Embeds passages and keeps the tokenizer of each model; waits while embedding is away or has too much to do."""

    def __init__(self, embedding: grpc.aio.Channel) -> None:
        self._embedding = EmbeddingInternalServiceStub(embedding)
        self._token_readers: dict[str, TokenReader] = {}

    async def token_reader(self, digest: str, report: Report) -> TokenReader:
        """Return what counts a model's tokens; its tokenizer neither truncates nor pads."""
        if digest not in self._token_readers:
            request = messages.GetTokenizerRequest(digest=digest)
            answer = await patiently(lambda: self._embedding.GetTokenizer(request), report, _PEER)
            tokenizer = Tokenizer.from_str(answer.tokenizer_json.decode())
            tokenizer.no_truncation()
            tokenizer.no_padding()
            self._token_readers[digest] = TokenReader(tokenizer)
        return self._token_readers[digest]

    async def embed(self, generation: Generation, texts: Sequence[str], report: Report) -> list[bytes]:
        """Return one vector for each text, as little-endian 32-bit floats."""
        request = messages.EmbedBatchRequest(
            texts=texts,
            model=generation.model,
            digest=generation.digest,
            precision=model_pb2.Model.Precision.Value(f"PRECISION_{generation.precision}"),
            lane=messages.LANE_BULK,
            kind=model_pb2.TEXT_KIND_PASSAGE,
            truncate=True,
        )
        answer = await patiently(lambda: self._embedding.EmbedBatch(request, timeout=_SECONDS), report, _PEER)
        width = 4 * answer.dimension
        return [answer.vectors[start : start + width] for start in range(0, len(answer.vectors), width)]
