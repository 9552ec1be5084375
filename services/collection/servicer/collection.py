"""CollectionService: collections are created, shown, changed and deleted."""

from datetime import datetime
from typing import TYPE_CHECKING

import grpc
from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.db.engine import Sessions
from libs.db.tables import new_id
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from libs.rpc.identity.roles import require_role
from libs.rpc.paging import Pager, page_size
from semantik.auth.v1.user_pb2 import User
from semantik.collection.v1 import collection_service_pb2 as messages
from semantik.collection.v1 import collection_service_pb2_grpc
from semantik.embedding.v1.embedding_internal_service_pb2 import DescribeModelRequest
from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceStub
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection import audit, generations, permission
from services.collection.servicer.convert import collection_message
from services.collection.starter import Kind, Starter, work
from services.collection.store import collections
from services.collection.tables import Collection, Role

if TYPE_CHECKING:
    # The asynchronous face of a stub exists for type checkers only.
    from semantik.embedding.v1.embedding_internal_service_pb2_grpc import EmbeddingInternalServiceAsyncStub

_MODEL_SECONDS = 10.0


class CollectionServicer(collection_service_pb2_grpc.CollectionServiceServicer):
    def __init__(
        self, sessions: Sessions, reads: AsyncEngine, pager: Pager, starter: Starter, embedding: grpc.aio.Channel, default_chunk_size: int
    ) -> None:
        self._sessions = sessions
        self._reads = reads
        self._pager = pager
        self._starter = starter
        self._embedding: EmbeddingInternalServiceAsyncStub = EmbeddingInternalServiceStub(embedding)
        self._default_chunk_size = default_chunk_size

    async def CreateCollection(self, request: messages.CreateCollectionRequest, context: Context) -> messages.CreateCollectionResponse:
        principal = call.principal()
        require_role(principal, User.ROLE_POWER_USER)
        model = (await self._embedding.DescribeModel(DescribeModelRequest(model=request.model), timeout=_MODEL_SECONDS)).model
        collection = Collection(
            id=new_id(),
            name=request.name,
            description=request.description,
            owner_id=principal.user_id,
            is_public=request.is_public,
            language=request.language,
        )
        generation = generations.first(collection.id, request, model, self._default_chunk_size)
        async with self._sessions.begin() as session:
            if not await collections.add(session, collection, generation):
                raise _exists(request.name)
            await audit.record(session, collection.id, "collection.create", name=collection.name)
            row = await permission.require_collection(session, principal, collection.id, Role.OWNER)
        return messages.CreateCollectionResponse(collection=collection_message(row))

    async def GetCollection(self, request: messages.GetCollectionRequest, context: Context) -> messages.GetCollectionResponse:
        async with self._reads.connect() as connection:
            row = await permission.require_collection(connection, call.principal(), request.collection_id, Role.READ)
        return messages.GetCollectionResponse(collection=collection_message(row))

    async def ListCollections(self, request: messages.ListCollectionsRequest, context: Context) -> messages.ListCollectionsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        async with self._sessions() as session:
            rows = await collections.list_readable(
                session,
                permission.subject(principal),
                name=request.name,
                owned_only=request.owned_only,
                limit=size + 1,
                before=(datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None,
            )
        page, token = self._pager.page(rows, size, lambda row: [row.create_time.isoformat(), row.id], request, principal)
        return messages.ListCollectionsResponse(collections=map(collection_message, page), next_page_token=token)

    async def UpdateCollection(self, request: messages.UpdateCollectionRequest, context: Context) -> messages.UpdateCollectionResponse:
        principal = call.principal()
        values = {name: getattr(request, name) for name in ("name", "description", "is_public", "language") if request.HasField(name)}
        asked = work(principal, Kind.KIND_APPEND, request.collection_id)
        async with self._sessions.begin() as session:
            row = await permission.require_collection(session, principal, request.collection_id, Role.ADMIN)
            is_other_language = row.language != values.get("language", row.language)
            if values:
                if not await collections.change(session, row.id, values):
                    raise _exists(request.name)
                await audit.record(session, row.id, "collection.update", **values)
                row = await permission.require_collection(session, principal, request.collection_id, Role.ADMIN)
            if is_other_language:
                await self._starter.record(session, asked, row.id, "language")
        if is_other_language:
            await self._starter.send(asked)
        return messages.UpdateCollectionResponse(collection=collection_message(row))

    async def DeleteCollection(self, request: messages.DeleteCollectionRequest, context: Context) -> messages.DeleteCollectionResponse:
        principal = call.principal()
        asked = work(principal, Kind.KIND_DELETE, request.collection_id, own_id=f"delete:{request.collection_id}")
        async with self._sessions.begin() as session:
            row = await permission.lock_collection(session, principal, request.collection_id, Role.OWNER)
            await collections.delete(session, row.id)
            await self._starter.record(session, asked, row.id, "delete")
            await audit.record(session, row.id, "collection.delete", name=row.name)
        return messages.DeleteCollectionResponse(operation=await self._starter.send(asked))


def _exists(name: str) -> Failure:
    return Failure(
        StatusCode.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_COLLECTION_EXISTS,
        "you have a collection of this name already",
        {"name": name},
        field="name",
    )
