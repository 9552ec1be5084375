"""ModelService: which models are installed and in memory, for every user; loading, unloading and downloading, for administrators."""

from collections.abc import AsyncIterator

from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.identity import Verifier
from libs.rpc.identity.roles import require_role
from semantik.auth.v1 import user_pb2
from semantik.embedding.v1 import model_service_pb2 as messages
from semantik.embedding.v1 import model_service_pb2_grpc
from services.embedding.downloads.downloads import Downloads
from services.embedding.inference.engine import Engine
from services.embedding.servicer.convert import model_message, precision_name


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, engine: Engine, downloads: Downloads, verifier: Verifier) -> None:
        self._engine = engine
        self._downloads = downloads
        self._verifier = verifier

    async def ListModels(self, request: messages.ListModelsRequest, context: Context) -> messages.ListModelsResponse:
        await self._engine.catalog.refresh()
        models = [await model_message(files, self._engine) for files in list(self._engine.catalog.models.values())]
        sessions = self._engine.sessions
        return messages.ListModelsResponse(models=models, memory_bytes=sessions.memory_bytes, memory_budget_bytes=sessions.budget_bytes)

    async def GetModel(self, request: messages.GetModelRequest, context: Context) -> messages.GetModelResponse:
        return messages.GetModelResponse(model=await model_message(self._engine.catalog.get(request.model_id), self._engine))

    async def LoadModel(self, request: messages.LoadModelRequest, context: Context) -> messages.LoadModelResponse:
        require_administrator()
        await self._engine.catalog.refresh()
        files = self._engine.catalog.get(request.model_id)
        await self._engine.load(files, precision_name(request.precision, self._engine))
        return messages.LoadModelResponse(model=await model_message(files, self._engine))

    async def UnloadModel(self, request: messages.UnloadModelRequest, context: Context) -> messages.UnloadModelResponse:
        require_administrator()
        files = self._engine.catalog.get(request.model_id)
        self._engine.unload(files)
        return messages.UnloadModelResponse(model=await model_message(files, self._engine))

    async def DownloadModel(
        self, request: messages.DownloadModelRequest, context: Context
    ) -> AsyncIterator[messages.DownloadModelResponse]:
        require_administrator()
        started = await self._downloads.start(request.repository, request.revision, request.model_id, request.digest)
        async for download in started.watch():
            await self._verifier.still_holds(call.principal())
            response = messages.DownloadModelResponse(download=download)
            if download.state == messages.Download.STATE_SUCCEEDED:
                response.model.CopyFrom(await model_message(self._engine.catalog.get(download.model_id), self._engine))
            yield response


def require_administrator() -> None:
    require_role(call.principal(), user_pb2.User.ROLE_ADMIN)
