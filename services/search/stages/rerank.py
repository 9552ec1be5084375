"""Reorders the best candidates by a cross-encoder, which reads query and passage together."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from semantik.embedding.v1 import embedding_internal_service_pb2 as messages
from semantik.search.v1.explanation_pb2 import Reranker
from services.search.stages.candidate import Candidate

if TYPE_CHECKING:
    from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceAsyncStub

# More than any cross-encoder reads; a request of 200 passages stays small.
_MOST_CHARACTERS = 8192


async def rerank(
    embedding: "EmbeddingInternalServiceAsyncStub", model: str, query: str, candidates: Sequence[Candidate]
) -> tuple[list[Candidate], Reranker]:
    """Return the candidates in the cross-encoder's order, with its scores; equal ones keep theirs.

    It computes in the lane that gives way to queries: nobody's search waits for it. Raises MODEL_NOT_FOUND, RERANKER_MISSING.
    """
    request = messages.RerankBatchRequest(
        query=query,
        texts=[candidate.passage.text[:_MOST_CHARACTERS] for candidate in candidates],
        model=model,
        lane=messages.LANE_BULK,
    )
    answer = await embedding.RerankBatch(request)
    scored = [replace(candidate, score=score, rerank_score=score) for candidate, score in zip(candidates, answer.scores, strict=True)]
    reranker = Reranker(model=answer.model, digest=answer.digest, candidate_count=len(scored))
    return sorted(scored, key=lambda candidate: -candidate.score), reranker
