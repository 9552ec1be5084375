"""ModelService: which models are installed and in memory, for everybody; loading, unloading and downloading, for administrators."""

import asyncio
from collections.abc import AsyncIterator

from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.identity import Verifier
from libs.rpc.identity.roles import require_role
from semantik.auth.v1 import user_pb2
from semantik.embedding.v1 import model_pb2, model_service_pb2_grpc
from semantik.embedding.v1 import model_service_pb2 as messages
from services.embedding.downloads import Downloads
from services.embedding.engine import Engine
from services.embedding.models import ModelFiles
from services.embedding.servicer.shapes import model_message, precision_name


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, engine: Engine, downloads: Downloads, verifier: Verifier) -> None:
        self._engine = engine
        self._downloads = downloads
        self._verifier = verifier

    async def ListModels(self, request: messages.ListModelsRequest, context: Context) -> messages.ListModelsResponse:
        await asyncio.to_thread(self._engine.catalog.refresh)
        found = [await self._message(files) for files in self._engine.catalog.models.values()]
        sessions = self._engine.sessions
        return messages.ListModelsResponse(models=found, memory_bytes=sessions.memory_bytes, memory_budget_bytes=sessions.budget_bytes)

    async def GetModel(self, request: messages.GetModelRequest, context: Context) -> messages.GetModelResponse:
        return messages.GetModelResponse(model=await self._message(self._engine.catalog.get(request.model_id)))

    async def LoadModel(self, request: messages.LoadModelRequest, context: Context) -> messages.LoadModelResponse:
        require_administrator()
        await asyncio.to_thread(self._engine.catalog.refresh)
        files = self._engine.catalog.get(request.model_id)
        await self._engine.load(files, precision_name(request.precision, self._engine))
        return messages.LoadModelResponse(model=await self._message(files))

    async def UnloadModel(self, request: messages.UnloadModelRequest, context: Context) -> messages.UnloadModelResponse:
        require_administrator()
        files = self._engine.catalog.get(request.model_id)
        await self._engine.unload(files)
        return messages.UnloadModelResponse(model=await self._message(files))

    async def DownloadModel(
        self, request: messages.DownloadModelRequest, context: Context
    ) -> AsyncIterator[messages.DownloadModelResponse]:
        require_administrator()
        started = await self._downloads.start(request.repository, request.revision, request.model_id, request.digest)
        async for download in started.watch():
            await self._verifier.still_holds(call.principal())
            response = messages.DownloadModelResponse(download=download)
            if download.state == messages.Download.STATE_SUCCEEDED:
                response.model.CopyFrom(await self._message(self._engine.catalog.get(download.model_id)))
            yield response

    async def _message(self, files: ModelFiles) -> model_pb2.Model:
        # The first digest of a model reads all of its files.
        return await asyncio.to_thread(model_message, files, self._engine)


def require_administrator() -> None:
    require_role(call.principal(), user_pb2.User.ROLE_ADMIN)
