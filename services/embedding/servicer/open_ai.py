"""OpenAiService: embeddings and models in the shapes of OpenAI's API."""

import base64

import numpy as np
import numpy.typing as npt
from google.protobuf import struct_pb2

from libs.rpc.boundary import Context
from libs.rpc.errors import invalid
from semantik.embedding.v1 import open_ai_service_pb2 as messages
from semantik.embedding.v1 import open_ai_service_pb2_grpc
from services.embedding.catalog.model_files import ModelFiles
from services.embedding.inference.engine import Engine
from services.embedding.inference.lanes import Lane

_MOST_TEXTS = 512
_MOST_CHARACTERS = 100_000
# A number in a ListValue on the wire: field 1 of 9 bytes, and in it field 2, a double.
_VALUE_HEAD = b"\x0a\x09\x11"
_VALUE = np.dtype([("head", "S3"), ("number", "<f8")])


class OpenAiServicer(open_ai_service_pb2_grpc.OpenAiServiceServicer):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def CreateEmbeddings(self, request: messages.CreateEmbeddingsRequest, context: Context) -> messages.CreateEmbeddingsResponse:
        files, texts = self._engine.catalog.embedder(request.model), _texts(request.input)
        if request.dimensions not in (0, files.dimension):
            raise invalid("dimensions", f"the vectors of {files.id} have {files.dimension} dimensions and cannot be shortened")
        embedded = await self._engine.embed(
            files,
            self._engine.default_precision,
            texts,
            lane=Lane.BULK,
            is_query=False,
            truncate=False,
        )
        write = _write_text if request.encoding_format == "base64" else _write_numbers
        count = sum(embedded.token_counts)
        usage = messages.OpenAiUsage(prompt_tokens=count, total_tokens=count)
        response = messages.CreateEmbeddingsResponse(object="list", model=files.id, usage=usage)
        for position, vector in enumerate(embedded.vectors):
            write(vector, response.data.add(object="embedding", index=position).embedding)
        return response

    async def ListModels(
        self, request: messages.OpenAiServiceListModelsRequest, context: Context
    ) -> messages.OpenAiServiceListModelsResponse:
        await self._engine.catalog.refresh()
        models = [_model(files) async for files in self._engine.catalog.usable("EMBEDDING")]
        return messages.OpenAiServiceListModelsResponse(object="list", data=models)


def _texts(value: struct_pb2.Value) -> list[str]:
    """Return the texts of a request: one string or a list of strings; raises INVALID_REQUEST for anything else."""
    values = list(value.list_value.values) if value.HasField("list_value") else [value]
    if not 1 <= len(values) <= _MOST_TEXTS:
        raise invalid("input", f"must be 1 to {_MOST_TEXTS} texts, not {len(values)}")
    if any(value.HasField("number_value") or value.HasField("list_value") for value in values):
        raise invalid("input", "must be a text or a list of texts; token ids are those of another model and are not accepted")
    if not all(value.HasField("string_value") for value in values):
        raise invalid("input", "must be a text or a list of texts")
    texts = [value.string_value for value in values]
    for position, text in enumerate(texts):
        if not 1 <= len(text) <= _MOST_CHARACTERS:
            raise invalid("input", f"text {position} has {len(text)} characters; it must have 1 to {_MOST_CHARACTERS}")
    return texts


def _write_text(vector: npt.NDArray[np.float32], to: struct_pb2.Value) -> None:
    to.string_value = base64.b64encode(vector.astype("<f4").tobytes()).decode()


def _write_numbers(vector: npt.NDArray[np.float32], to: struct_pb2.Value) -> None:
    """Write a list of numbers as its bytes: one by one, those of a large request would hold up the loop for 0.4 s."""
    values = np.empty(len(vector), _VALUE)
    values["head"], values["number"] = _VALUE_HEAD, vector
    to.list_value.MergeFromString(values.tobytes())


def _model(files: ModelFiles) -> messages.OpenAiModel:
    created = int(files.tokenizer.stat().st_mtime)
    return messages.OpenAiModel(id=files.id, object="model", created=created, owned_by=files.source.partition("/")[0])
