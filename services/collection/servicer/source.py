"""SourceService: where documents come from."""

from datetime import datetime

from grpc import StatusCode

from libs.db.engine import Sessions
from libs.db.tables import new_id
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from libs.rpc.paging import Pager, page_size
from semantik.collection.v1 import source_service_pb2 as messages
from semantik.collection.v1 import source_service_pb2_grpc
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection import audit, permission, source_kinds
from services.collection.operator import Operator
from services.collection.roots import Roots
from services.collection.servicer.convert import source_message
from services.collection.starter import Kind, Starter, work
from services.collection.store import sources
from services.collection.tables import Role, Source
from services.collection.visibility import Visibility


class SourceServicer(source_service_pb2_grpc.SourceServiceServicer):
    def __init__(
        self, sessions: Sessions, pager: Pager, starter: Starter, visibility: Visibility, roots: Roots, operator: Operator
    ) -> None:
        self._sessions = sessions
        self._pager = pager
        self._starter = starter
        self._visibility = visibility
        self._roots = roots
        self._operator = operator

    async def AddSource(self, request: messages.AddSourceRequest, context: Context) -> messages.AddSourceResponse:
        principal = call.principal()
        is_operator = self._operator.is_proven(request.operator_capability)
        place = await source_kinds.place(request, self._roots, is_operator=is_operator)
        async with self._sessions.begin() as session:
            collection = await permission.lock_collection(session, principal, request.collection_id, Role.WRITE)
            existing = await sources.at(session, collection.id, place.location)
            source_id = str(existing.id) if existing else new_id()
            asked = work(principal, Kind.KIND_INDEX, collection.id, request_id=request.request_id, source_id=source_id)
            first = await self._starter.record(session, asked, source_id, [place.kind, place.location, place.config])
            if first is None:
                if existing is not None:
                    raise _exists(existing.id)
                fresh = Source(id=source_id, collection_id=collection.id, kind=place.kind, location=place.location, config=place.config)
                await sources.add(session, fresh)
                await audit.record(session, collection.id, "source.add", source_id=source_id, location=place.location)
            asked.request.source_id = first or source_id
            source = await permission.require_source(session, principal, asked.request.source_id, Role.WRITE)
        return messages.AddSourceResponse(source=source_message(source, source.role), operation=await self._starter.send(asked))

    async def ListSources(self, request: messages.ListSourcesRequest, context: Context) -> messages.ListSourcesResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        before = (datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None
        async with self._sessions() as session:
            collection = await permission.require_collection(session, principal, request.collection_id, Role.READ)
            rows = await sources.list_present(session, collection.id, size + 1, before)
        page, token = self._pager.page(rows, size, lambda row: [row.create_time.isoformat(), row.id], request, principal)
        return messages.ListSourcesResponse(sources=[source_message(row, collection.role) for row in page], next_page_token=token)

    async def GetSource(self, request: messages.GetSourceRequest, context: Context) -> messages.GetSourceResponse:
        async with self._sessions() as session:
            source = await permission.require_source(session, call.principal(), request.source_id, Role.READ)
        return messages.GetSourceResponse(source=source_message(source, source.role))

    async def SyncSource(self, request: messages.SyncSourceRequest, context: Context) -> messages.SyncSourceResponse:
        principal = call.principal()
        async with self._sessions() as session:
            source = await permission.require_source(session, principal, request.source_id, Role.WRITE)
        await source_kinds.check(source.kind, source.location, source.config, self._roots)
        asked = work(principal, Kind.KIND_SYNC, source.collection_id, request_id=request.request_id, source_id=source.id)
        async with self._sessions.begin() as session:
            await permission.lock_collection(session, principal, source.collection_id, Role.WRITE)
            await permission.require_source(session, principal, source.id, Role.WRITE)
            if await self._starter.record(session, asked, source.id, source.id) is None:
                await audit.record(session, source.collection_id, "source.sync", source_id=source.id)
        return messages.SyncSourceResponse(operation=await self._starter.send(asked))

    async def UpdateSource(self, request: messages.UpdateSourceRequest, context: Context) -> messages.UpdateSourceResponse:
        principal = call.principal()
        async with self._sessions() as session:
            source = await permission.require_source(session, principal, request.source_id, Role.WRITE)
        is_operator = self._operator.is_proven(request.operator_capability)
        place = await source_kinds.place(request, self._roots, is_operator=is_operator)
        if (place.kind, place.location) != (source.kind, source.location):
            raise _other_place(source.location)
        asked = work(principal, Kind.KIND_SYNC, source.collection_id, request_id=request.request_id, source_id=source.id)
        async with self._sessions.begin() as session:
            await permission.lock_collection(session, principal, source.collection_id, Role.WRITE)
            await permission.require_source(session, principal, source.id, Role.WRITE)
            if await self._starter.record(session, asked, source.id, [source.id, place.config]) is None:
                await sources.configure(session, source.id, place.config)
                await audit.record(session, source.collection_id, "source.update", source_id=source.id)
            source = await permission.require_source(session, principal, source.id, Role.WRITE)
        return messages.UpdateSourceResponse(source=source_message(source, source.role), operation=await self._starter.send(asked))

    async def RemoveSource(self, request: messages.RemoveSourceRequest, context: Context) -> messages.RemoveSourceResponse:
        principal = call.principal()
        async with self._sessions.begin() as session:
            source = await permission.lock_source(session, principal, request.source_id, Role.WRITE)
            asked = work(principal, Kind.KIND_REMOVE_SOURCE, source.collection_id, source_id=source.id)
            await self._starter.record(session, asked, source.id, "remove")
            if source.delete_time is None:
                await sources.remove(session, source.id)
                await audit.record(session, source.collection_id, "source.remove", source_id=source.id, location=source.location)
        await self._visibility.hide_source(source.collection_id, source.id)
        return messages.RemoveSourceResponse(operation=await self._starter.send(asked))


def _exists(source_id: str) -> Failure:
    return Failure(
        StatusCode.ALREADY_EXISTS,
        ErrorReason.ERROR_REASON_SOURCE_EXISTS,
        "the collection has this source already; sync it instead",
        {"source_id": source_id},
        field="config",
    )


def _other_place(location: str) -> Failure:
    return Failure(
        StatusCode.INVALID_ARGUMENT,
        ErrorReason.ERROR_REASON_INVALID_REQUEST,
        f"the source reads {location}, which does not change; add another source for another path",
        field="config",
    )
