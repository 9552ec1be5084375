"""The installed models: list, load, unload and download them."""

import time
from collections.abc import AsyncIterator

from semantik.client.errors import SemantikError
from semantik.client.resuming import resumed
from semantik.client.session import Session
from semantik.embedding.v1 import model_pb2, model_service_pb2, model_service_pb2_grpc

DownloadState = model_service_pb2.Download.State
_LOAD_SECONDS = 900.0


class Models:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = model_service_pb2_grpc.ModelServiceStub(session.channel)

    async def list(self) -> model_service_pb2.ListModelsResponse:
        """Return the installed models, the memory that the loaded ones use, and its limit."""
        return await self._session.call(self._stub.ListModels, model_service_pb2.ListModelsRequest())

    async def get(self, model_id: str) -> model_pb2.Model:
        return (await self._session.call(self._stub.GetModel, model_service_pb2.GetModelRequest(model_id=model_id))).model

    async def load(
        self, model_id: str, precision: "model_pb2.Model.Precision.ValueType" = model_pb2.Model.PRECISION_UNSPECIFIED
    ) -> model_pb2.Model:
        """Load a model into memory, by default in its default precision; for administrators.

        Building the graph of a large model takes longer than one call through the gateway may: the call is repeated for 15 minutes.
        """
        request = model_service_pb2.LoadModelRequest(model_id=model_id, precision=precision)
        end = time.monotonic() + _LOAD_SECONDS
        while True:
            try:
                return (await self._session.call(self._stub.LoadModel, request, timeout=end - time.monotonic())).model
            except SemantikError as error:
                if error.code != "DEADLINE_EXCEEDED" or time.monotonic() >= end:
                    raise

    async def unload(self, model_id: str) -> model_pb2.Model:
        """Remove all precisions of a model from memory; for administrators."""
        return (await self._session.call(self._stub.UnloadModel, model_service_pb2.UnloadModelRequest(model_id=model_id))).model

    async def download(
        self, repository: str, *, revision: str = "", model_id: str = "", digest: str = ""
    ) -> AsyncIterator[model_service_pb2.DownloadModelResponse]:
        """Download a model from the Hugging Face hub and yield its progress until it ends; for administrators.

        A failure is in ``download.error``. The download continues when the iterator is closed; the same call follows it again.
        """
        request = model_service_pb2.DownloadModelRequest(repository=repository, revision=revision, model_id=model_id, digest=digest)
        streams = resumed(
            lambda: self._session.stream(self._stub.DownloadModel, request),
            lambda answer: answer.download.state in (DownloadState.STATE_SUCCEEDED, DownloadState.STATE_FAILED),
        )
        async for answer in streams:
            yield answer
