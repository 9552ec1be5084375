"""SourceService: where documents come from."""

import asyncio
from datetime import datetime
from pathlib import Path

from google.protobuf import json_format
from grpc import StatusCode

from libs.db.engine import Sessions
from libs.db.tables import new_id
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, not_found
from libs.rpc.paging import Pager, page_size
from semantik.collection.v1 import source_service_pb2 as messages
from semantik.collection.v1 import source_service_pb2_grpc
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection import permission, roots
from services.collection.hiding import Hiding
from services.collection.servicer import audit
from services.collection.servicer.shapes import source_message
from services.collection.starter import Kind, Starter, work
from services.collection.store import sources
from services.collection.tables import Role, Source, SourceKind


class SourceServicer(source_service_pb2_grpc.SourceServiceServicer):
    def __init__(self, sessions: Sessions, pager: Pager, starter: Starter, hiding: Hiding, allowed_roots: list[Path]) -> None:
        self._sessions = sessions
        self._pager = pager
        self._starter = starter
        self._hiding = hiding
        self._roots = allowed_roots

    async def AddSource(self, request: messages.AddSourceRequest, context: Context) -> messages.AddSourceResponse:
        principal = call.principal()
        async with self._sessions.begin() as session:
            collection, _ = await permission.require(session, principal, request.collection_id, Role.WRITE)
            location = str(await asyncio.to_thread(roots.resolve_allowed, request.path, self._roots))
            config = json_format.MessageToDict(request.directory, preserving_proto_field_name=True)
            fresh = Source(id=new_id(), collection_id=collection.id, kind=SourceKind.DIRECTORY, location=location, config=config)
            existing = await sources.at(session, collection.id, location)
            source_id = existing.id if existing else fresh.id
            asked = work(principal, Kind.KIND_INDEX, collection.id, request_id=request.request_id, source_id=source_id)
            first = await self._starter.record(session, asked, source_id, [location, config])
            if first is None:
                if existing is not None or not await sources.add(session, fresh):
                    raise Failure(
                        StatusCode.ALREADY_EXISTS,
                        ErrorReason.ERROR_REASON_SOURCE_EXISTS,
                        "the collection has this source already; sync it instead",
                        {"source_id": existing.id if existing else ""},
                        field="path",
                    )
                await audit.record(session, collection.id, "source.add", source_id=fresh.id, location=location)
            asked.source_id = first or fresh.id
            source = await sources.get(session, asked.source_id)
        if source is None:
            raise not_found("source", asked.source_id)
        return messages.AddSourceResponse(source=source_message(source), operation=await self._starter.send(asked))

    async def ListSources(self, request: messages.ListSourcesRequest, context: Context) -> messages.ListSourcesResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        before = (datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None
        async with self._sessions() as session:
            collection, _ = await permission.require(session, principal, request.collection_id, Role.READ)
            rows = await sources.listed(session, collection.id, size + 1, before)
        page = rows[:size]
        token = self._pager.token([page[-1].create_time.isoformat(), page[-1].id], request, principal) if len(rows) > size else ""
        return messages.ListSourcesResponse(sources=[source_message(row) for row in page], next_page_token=token)

    async def GetSource(self, request: messages.GetSourceRequest, context: Context) -> messages.GetSourceResponse:
        async with self._sessions() as session:
            source = await permission.require_source(session, call.principal(), request.source_id, Role.READ)
        return messages.GetSourceResponse(source=source_message(source))

    async def SyncSource(self, request: messages.SyncSourceRequest, context: Context) -> messages.SyncSourceResponse:
        principal = call.principal()
        async with self._sessions.begin() as session:
            source = await permission.require_source(session, principal, request.source_id, Role.WRITE)
            if source.kind == SourceKind.DIRECTORY:
                await asyncio.to_thread(roots.resolve_allowed, source.location, self._roots)
            asked = work(principal, Kind.KIND_SYNC, source.collection_id, request_id=request.request_id, source_id=source.id)
            if await self._starter.record(session, asked, source.id, source.id) is None:
                await audit.record(session, source.collection_id, "source.sync", source_id=source.id)
        return messages.SyncSourceResponse(operation=await self._starter.send(asked))

    async def RemoveSource(self, request: messages.RemoveSourceRequest, context: Context) -> messages.RemoveSourceResponse:
        principal = call.principal()
        async with self._sessions.begin() as session:
            source = await permission.require_source(session, principal, request.source_id, Role.WRITE)
            asked = work(principal, Kind.KIND_REMOVE_SOURCE, source.collection_id, request_id=f"remove:{source.id}", source_id=source.id)
            await self._starter.record(session, asked, source.id, "remove")
            await sources.remove(session, source)
            await audit.record(session, source.collection_id, "source.remove", source_id=source.id, location=source.location)
        await self._hiding.hide_source(source.collection_id, source.id)
        return messages.RemoveSourceResponse(operation=await self._starter.send(asked))
