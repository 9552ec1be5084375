"""CollectionService: collections come, change and go."""

from datetime import datetime

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.db.tables import new_id
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, invalid
from libs.rpc.identity.roles import require_role
from libs.rpc.paging import Pager, page_size
from semantik.auth.v1.user_pb2 import User
from semantik.collection.v1 import collection_service_pb2 as messages
from semantik.collection.v1 import collection_service_pb2_grpc
from semantik.embedding.v1 import model_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection import permission
from services.collection.chunking.settings import ChunkSettings
from services.collection.models import Models
from services.collection.servicer import audit
from services.collection.servicer.shapes import collection_message
from services.collection.starter import Kind, Starter, work
from services.collection.store import collections
from services.collection.tables import Collection, CollectionState, Generation, GenerationState, Role

_SPECIAL_TOKENS = 2


class CollectionServicer(collection_service_pb2_grpc.CollectionServiceServicer):
    def __init__(self, sessions: Sessions, pager: Pager, starter: Starter, models: Models, default_chunk_size: int) -> None:
        self._sessions = sessions
        self._pager = pager
        self._starter = starter
        self._models = models
        self._default_chunk_size = default_chunk_size

    async def CreateCollection(self, request: messages.CreateCollectionRequest, context: Context) -> messages.CreateCollectionResponse:
        principal = call.principal()
        require_role(principal, User.ROLE_POWER_USER)
        model = await self._models.describe(request.model)
        collection = Collection(
            id=new_id(), name=request.name, description=request.description, owner_id=principal.user_id, is_public=request.is_public
        )
        generation = self._first_generation(collection.id, request, model)
        async with self._sessions.begin() as session:
            if not await collections.add(session, collection, generation):
                raise _exists(request.name)
            await audit.record(session, collection.id, "collection.create", name=collection.name)
        return messages.CreateCollectionResponse(collection=collection_message(collection, generation, Role.OWNER))

    def _first_generation(self, collection_id: str, request: messages.CreateCollectionRequest, model: model_pb2.Model) -> Generation:
        most = model.max_length - _SPECIAL_TOKENS
        size = request.chunk_size if request.HasField("chunk_size") else min(self._default_chunk_size, most)
        if size > most:
            raise invalid("chunk_size", f"the model {model.id} reads {most} tokens at most")
        overlap = request.chunk_overlap if request.HasField("chunk_overlap") else size // 5
        if overlap > size // 2:
            raise invalid("chunk_overlap", "must be at most half of chunk_size")
        precision = request.precision or model.default_precision
        if precision not in model.precisions:
            name = model_pb2.Model.Precision.Name(precision).removeprefix("PRECISION_")
            raise Failure(
                StatusCode.FAILED_PRECONDITION,
                ErrorReason.ERROR_REASON_PRECISION_UNSUPPORTED,
                f"this installation cannot compute {model.id} in {name}",
                {"precision": name},
            )
        precision_name = model_pb2.Model.Precision.Name(precision).removeprefix("PRECISION_")
        return Generation(
            collection_id=collection_id,
            generation=1,
            state=GenerationState.ACTIVE,
            qdrant_name=f"{collection_id}_{model.id}_{precision_name.lower()}_g1",
            model=model.id,
            digest=model.digest,
            precision=precision_name,
            dimension=model.dimension,
            max_length=model.max_length,
            pooling=model_pb2.Model.Pooling.Name(model.pooling).removeprefix("POOLING_"),
            chunk_size=size,
            chunk_overlap=overlap,
            chunking_id=ChunkSettings("recursive", size, overlap).chunking_id(model.digest),
        )

    async def GetCollection(self, request: messages.GetCollectionRequest, context: Context) -> messages.GetCollectionResponse:
        async with self._sessions() as session:
            collection, role = await permission.require(session, call.principal(), request.collection_id, Role.READ)
            generation = await collections.active_generation(session, collection)
        return messages.GetCollectionResponse(collection=collection_message(collection, generation, role))

    async def ListCollections(self, request: messages.ListCollectionsRequest, context: Context) -> messages.ListCollectionsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        async with self._sessions() as session:
            rows = await collections.listed(
                session,
                principal,
                name=request.name,
                owned_only=request.owned_only,
                limit=size + 1,
                before=(datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None,
            )
            page = rows[:size]
            generations = await collections.active_generations(session, page)
            found = []
            for row in page:
                role = await permission.role_on(session, principal, row)
                if role is not None:
                    found.append(collection_message(row, generations[row.id], role))
        token = self._pager.token([page[-1].create_time.isoformat(), page[-1].id], request, principal) if len(rows) > size else ""
        return messages.ListCollectionsResponse(collections=found, next_page_token=token)

    async def UpdateCollection(self, request: messages.UpdateCollectionRequest, context: Context) -> messages.UpdateCollectionResponse:
        values = {name: getattr(request, name) for name in ("name", "description", "is_public") if request.HasField(name)}
        async with self._sessions.begin() as session:
            collection, role = await permission.require(session, call.principal(), request.collection_id, Role.ADMIN)
            if values:
                if not await collections.change(session, collection, values):
                    raise _exists(request.name)
                await audit.record(session, collection.id, "collection.update", **values)
            generation = await collections.active_generation(session, collection)
        return messages.UpdateCollectionResponse(collection=collection_message(collection, generation, role))

    async def DeleteCollection(self, request: messages.DeleteCollectionRequest, context: Context) -> messages.DeleteCollectionResponse:
        principal = call.principal()
        asked = work(principal, Kind.KIND_DELETE, request.collection_id, request_id=f"delete:{request.collection_id}")
        async with self._sessions.begin() as session:
            await permission.require(session, principal, request.collection_id, Role.OWNER)
            collection = await collections.locked(session, request.collection_id)
            collection.state = CollectionState.DELETING
            await self._starter.record(session, asked, collection.id, "delete")
            await audit.record(session, collection.id, "collection.delete", name=collection.name)
        return messages.DeleteCollectionResponse(operation=await self._starter.send(asked))


def _exists(name: str) -> Failure:
    return Failure(
        StatusCode.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_COLLECTION_EXISTS,
        "you have a collection of this name already",
        {"name": name},
        field="name",
    )
