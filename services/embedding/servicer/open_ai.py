"""OpenAiService: embeddings and models in the shapes of OpenAI's API."""

import asyncio
import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2

from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, invalid
from semantik.embedding.v1 import open_ai_service_pb2 as messages
from semantik.embedding.v1 import open_ai_service_pb2_grpc
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog.model_files import ModelFiles
from services.embedding.inference.engine import Embedded, Engine
from services.embedding.inference.lanes import Lane

_KIND = "EMBEDDING"
_MOST_TEXTS = 2048
_MOST_CHARACTERS = 100_000
_MOST_TOKENS = 300_000
# What is in the bulk lane of one request at a time: others have their turn between the parts.
_PART_TEXTS = 512
ANSWER_BYTES = 12 * 1024 * 1024
_MARGIN_BYTES = 64  # what surrounds a vector
# A number in a ListValue on the wire: field 1 of 9 bytes, and in it field 2, a double.
_VALUE_HEAD = b"\x0a\x09\x11"
_VALUE = np.dtype([("head", "S3"), ("number", "<f8")])
_FEWER = "send fewer texts at a time (LangChain: chunk_size, LlamaIndex: embed_batch_size)"

Vectors = dict[str, tuple[npt.NDArray[np.float32], int]]


class OpenAiServicer(open_ai_service_pb2_grpc.OpenAiServiceServicer):
    """``truncate`` has the start embedded of texts that are too long; otherwise they are refused."""

    def __init__(self, engine: Engine, *, truncate: bool) -> None:
        self._engine = engine
        self._truncate = truncate

    async def CreateEmbeddings(self, request: messages.CreateEmbeddingsRequest, context: Context) -> messages.CreateEmbeddingsResponse:
        files, texts = await self._model(request.model), self._texts(request.input)
        if request.dimensions not in (0, files.dimension):
            raise invalid("dimensions", f"the vectors of {files.id} have {files.dimension} dimensions and cannot be shortened")
        is_base64 = request.encoding_format == "base64"
        _require_small(len(texts), files.dimension, is_base64=is_base64)
        vectors = await self._vectors(files, texts)
        write = _write_text if is_base64 else _write_numbers
        count = sum(vectors[text][1] for text in texts)
        usage = messages.OpenAiUsage(prompt_tokens=count, total_tokens=count)
        response = messages.CreateEmbeddingsResponse(object="list", model=files.id, usage=usage)
        for position, text in enumerate(texts):
            write(vectors[text][0], response.data.add(object="embedding", index=position).embedding)
            if not (position + 1) % _PART_TEXTS:
                await asyncio.sleep(0)  # others have the loop meanwhile
        return response

    async def ListModels(
        self, request: messages.OpenAiServiceListModelsRequest, context: Context
    ) -> messages.OpenAiServiceListModelsResponse:
        await self._engine.catalog.refresh()
        models = [messages.OpenAiModel(**_described(files)) async for files in self._engine.catalog.usable(_KIND)]
        return messages.OpenAiServiceListModelsResponse(object="list", data=models)

    async def GetModel(self, request: messages.OpenAiServiceGetModelRequest, context: Context) -> messages.OpenAiServiceGetModelResponse:
        return messages.OpenAiServiceGetModelResponse(**_described(await self._model(request.model_id)))

    async def _model(self, model_id: str) -> ModelFiles:
        """Return an embedding model; raises MODEL_NOT_FOUND with the names of those that are here."""
        try:
            return self._engine.catalog.embedder(model_id)
        except Failure as failure:
            if failure.reason != ErrorReason.ERROR_REASON_MODEL_NOT_FOUND:
                raise
            known = ", ".join([files.id async for files in self._engine.catalog.usable(_KIND)])
            message = f"{failure.message}; use one of: {known}"
            raise Failure(failure.code, failure.reason, message, failure.metadata, field="model") from None

    def _texts(self, value: struct_pb2.Value) -> list[str]:
        """Return the texts of a request: one string or a list of strings; raises INVALID_REQUEST for anything else."""
        values = list(value.list_value.values) if value.HasField("list_value") else [value]
        if any(value.HasField("number_value") or value.HasField("list_value") for value in values):
            raise invalid(
                "input",
                "must be a text or a list of texts: token ids are those of another model and are not accepted "
                "(langchain-openai sends texts with OpenAIEmbeddings(check_embedding_ctx_length=False))",
            )
        if not 1 <= len(values) <= _MOST_TEXTS:
            raise invalid("input", f"must be 1 to {_MOST_TEXTS} texts, not {len(values)}")
        if not all(value.HasField("string_value") for value in values):
            raise invalid("input", "must be a text or a list of texts")
        texts = [value.string_value[:_MOST_CHARACTERS] if self._truncate else value.string_value for value in values]
        for position, text in enumerate(texts):
            if not 1 <= len(text) <= _MOST_CHARACTERS:
                raise invalid("input", f"text {position} has {len(text)} characters; it must have 1 to {_MOST_CHARACTERS}")
        return texts

    async def _vectors(self, files: ModelFiles, texts: Sequence[str]) -> Vectors:
        """Return the vector and the number of tokens of each text; equal ones are computed once."""
        distinct = list(dict.fromkeys(texts))
        await self._require_few_tokens(files, distinct)
        vectors: Vectors = {}
        for start in range(0, len(distinct), _PART_TEXTS):
            part = distinct[start : start + _PART_TEXTS]
            embedded = await self._embedded(files, part, texts, may_wait=start > 0)
            vectors |= zip(part, zip(embedded.vectors, embedded.token_counts, strict=True), strict=True)
        return vectors

    async def _embedded(self, files: ModelFiles, part: Sequence[str], texts: Sequence[str], *, may_wait: bool) -> Embedded:
        """Embed a part; where a request has begun already, a full lane is waited for, until the call's deadline."""
        while True:
            try:
                return await self._engine.embed(
                    files, self._engine.default_precision, part, lane=Lane.BULK, is_query=False, truncate=self._truncate
                )
            except Failure as failure:
                if failure.reason == ErrorReason.ERROR_REASON_TEXT_TOO_LONG:
                    position, tokens, limit = (failure.metadata[name] for name in ("index", "tokens", "limit"))
                    position = str(texts.index(part[int(position)]))
                    message = (
                        f"input: text {position} has {tokens} tokens; the model reads {limit}, and OPENAI_TRUNCATE is off: cut the text"
                    )
                    metadata = {"index": position, "tokens": tokens, "limit": limit}
                    raise Failure(failure.code, failure.reason, message, metadata, field="input") from None
                if failure.reason != ErrorReason.ERROR_REASON_OVERLOADED or not may_wait:
                    raise
                await asyncio.sleep(failure.retry_after or 0)

    async def _require_few_tokens(self, files: ModelFiles, texts: Sequence[str]) -> None:
        """Refuse what takes too long for one call, as OpenAI does; counted only where there may be as much."""
        # A token has a character or more, and a text two tokens of its own.
        if sum(min(len(text) + 2, files.max_length) for text in texts) <= _MOST_TOKENS:
            return
        tokens = sum(min(count, files.max_length) for count in await self._engine.count(files, texts))
        if tokens > _MOST_TOKENS:
            raise invalid("input", f"has {tokens} tokens together; a request has at most {_MOST_TOKENS}: {_FEWER}")


def _require_small(count: int, dimension: int, *, is_base64: bool) -> None:
    """Refuse a request whose vectors are too large for one answer."""
    size = _MARGIN_BYTES + (4 * -(-4 * dimension // 3) if is_base64 else _VALUE.itemsize * dimension)
    most = ANSWER_BYTES // size
    if count > most:
        hint = "" if is_base64 else ' or ask for encoding_format "base64"'
        raise invalid("input", f"the vectors of {count} texts are too large for one answer, which has at most {most}: {_FEWER}{hint}")


def _write_text(vector: npt.NDArray[np.float32], to: struct_pb2.Value) -> None:
    to.string_value = base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _write_numbers(vector: npt.NDArray[np.float32], to: struct_pb2.Value) -> None:
    """Write a list of numbers as its bytes: one by one, those of a large request would hold up the loop for 0.4 s."""
    values = np.empty(len(vector), _VALUE)
    values["head"], values["number"] = _VALUE_HEAD, vector
    to.list_value.MergeFromString(values.tobytes())


def _described(files: ModelFiles) -> dict[str, Any]:
    created = int(files.tokenizer.stat().st_mtime)
    return {"id": files.id, "object": "model", "created": created, "owned_by": files.source.partition("/")[0]}
