"""DocumentService: documents come by upload, are listed, read, tried again and deleted."""

from collections.abc import AsyncIterator

from google.api import httpbody_pb2
from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.db.tables import AnyRow, new_id
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, not_found, storage_full, unavailable
from libs.rpc.paging import Pager, page_size
from semantik.collection.v1 import document_pb2, document_service_pb2_grpc
from semantik.collection.v1 import document_service_pb2 as messages
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection import audit, garbage, media_types, metrics, permission, uploads
from services.collection.metadata import Change
from services.collection.objects import Objects, ObjectsFullError, unique_key
from services.collection.servicer.convert import document_message
from services.collection.starter import Kind, Starter, work
from services.collection.store import collections, documents, metadata, retries, undeletes
from services.collection.store import uploads as store
from services.collection.store.objects import LostError
from services.collection.tables import Artifact, ArtifactKind, DocumentState, IndexState, Role, Source, SourceKind
from services.collection.uploads import Upload
from services.collection.visibility import Visibility

_PART_BYTES = 256 * 1024
_RETRIED_PAGE = 2000


class DocumentServicer(document_service_pb2_grpc.DocumentServiceServicer):
    def __init__(
        self, sessions: Sessions, pager: Pager, starter: Starter, visibility: Visibility, objects: Objects, max_upload_bytes: int
    ) -> None:
        self._sessions = sessions
        self._pager = pager
        self._starter = starter
        self._visibility = visibility
        self._objects = objects
        self._max_upload_bytes = max_upload_bytes

    async def UploadDocument(
        self, request_iterator: AsyncIterator[messages.UploadDocumentRequest], context: Context
    ) -> messages.UploadDocumentResponse:
        async with uploads.received(self._permitted(request_iterator), self._max_upload_bytes) as upload:
            try:
                return await self._accept(upload)
            except ObjectsFullError as error:
                metrics.uploads.labels("failed").inc()
                raise storage_full("object storage") from error
            except LostError as error:
                metrics.uploads.labels("failed").inc()
                raise unavailable("object storage") from error

    async def _permitted(self, parts: AsyncIterator[messages.UploadDocumentRequest]) -> AsyncIterator[messages.UploadDocumentRequest]:
        """Refuse before the first byte is kept what would be refused after the last."""
        is_first = True
        async for part in parts:
            if is_first and part.collection_id:
                async with self._sessions() as session:
                    await permission.require_collection(session, call.principal(), part.collection_id, Role.WRITE)
            is_first = False
            yield part

    async def _accept(self, upload: Upload) -> messages.UploadDocumentResponse:
        principal = call.principal()
        async with self._sessions() as session:
            document_id = await store.document_id(session, upload.collection_id, upload.name) or new_id()
        key = unique_key(upload.collection_id, document_id, ArtifactKind.ORIGINAL, upload.sha256)
        content = store.Content(upload.name, upload.mime_type, upload.sha256, upload.size_bytes, key)
        asked = work(principal, Kind.KIND_APPEND, upload.collection_id, request_id=upload.request_id)
        async with garbage.stored(self._sessions, self._objects, key, upload.file), self._sessions.begin() as session:
            collection = await permission.lock_collection(session, principal, upload.collection_id, Role.WRITE)
            document_id = await store.document_id(session, collection.id, upload.name) or document_id
            first = await self._starter.record(session, asked, document_id, [upload.name, upload.sha256, *upload.noted.described()])
            is_pending = True
            if first is None:
                is_pending = await store.take_in(session, collection.id, document_id, content)
                is_pending = await metadata.put(session, collection.id, document_id, upload.noted) or is_pending
                await audit.record(session, collection.id, "document.upload", document_id=document_id, name=upload.name)
            document = await permission.require_document(session, principal, first or document_id, Role.READ)
        metrics.uploads.labels("new" if is_pending else "unchanged").inc()
        return messages.UploadDocumentResponse(document=document_message(document, Role.WRITE), operation=await self._starter.send(asked))

    async def ListDocuments(self, request: messages.ListDocumentsRequest, context: Context) -> messages.ListDocumentsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        async with self._sessions() as session:
            collection = await permission.require_collection(session, principal, request.collection_id, Role.READ)
            rows = await documents.list_visible(
                session,
                collection.id,
                source_id=request.source_id,
                states=[document_pb2.Document.State.Name(state).removeprefix("STATE_") for state in request.states],
                path_prefix=request.path_prefix,
                mime_type=request.mime_type,
                limit=size + 1,
                after=(str(cursor[0]), str(cursor[1])) if cursor else None,
            )
        page, token = self._pager.page(rows, size, lambda row: [row.path, row.id], request, principal)
        return messages.ListDocumentsResponse(documents=[document_message(row, collection.role) for row in page], next_page_token=token)

    async def GetDocument(self, request: messages.GetDocumentRequest, context: Context) -> messages.GetDocumentResponse:
        async with self._sessions() as session:
            document = await permission.require_document(session, call.principal(), request.document_id, Role.READ)
        return messages.GetDocumentResponse(document=document_message(document, document.role))

    async def UpdateDocument(self, request: messages.UpdateDocumentRequest, context: Context) -> messages.UpdateDocumentResponse:
        principal = call.principal()
        change = Change(dict(request.metadata), list(request.metadata_entries), list(request.removed_keys))
        async with self._sessions.begin() as session:
            document = await permission.lock_document(session, principal, request.document_id, Role.WRITE)
            if document.state == DocumentState.DELETED:
                raise not_found("document", document.id)
            if not await metadata.put(session, document.collection_id, document.id, change):
                return messages.UpdateDocumentResponse(document=document_message(document, document.role))
            asked = work(principal, Kind.KIND_APPEND, document.collection_id)
            await self._starter.record(session, asked, document.id, "metadata")
            await audit.record(session, document.collection_id, "document.update", document_id=document.id, path=document.path)
            document = await permission.require_document(session, principal, document.id, Role.WRITE)
        message = document_message(document, document.role)
        return messages.UpdateDocumentResponse(document=message, operation=await self._starter.send(asked))

    async def GetDocumentContent(
        self, request: messages.GetDocumentContentRequest, context: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        is_original = request.kind == messages.GetDocumentContentRequest.CONTENT_KIND_ORIGINAL
        kind = ArtifactKind.ORIGINAL if is_original else ArtifactKind.TEXT
        async with self._sessions() as session:
            document = await permission.require_document(session, call.principal(), request.document_id, Role.READ)
            is_deleted = document.state == DocumentState.DELETED
            artifact = None if is_deleted else await documents.artifact(session, document.id, kind)
        if artifact is None:
            raise _content_not_found(document.id)
        content_type = media_types.served(artifact.mime_type, artifact.charset)
        async for part in self._parts(artifact):
            yield httpbody_pb2.HttpBody(content_type=content_type, data=part)

    async def _parts(self, artifact: Artifact) -> AsyncIterator[bytes]:
        if artifact.object_key is not None:
            try:
                async for part in self._objects.stream(artifact.object_key):
                    yield part
            except FileNotFoundError as error:
                # It was replaced between the query and the read.
                raise _content_not_found(artifact.document_id) from error
            return
        content = (artifact.text or "").encode()
        for start in range(0, max(1, len(content)), _PART_BYTES):
            yield content[start : start + _PART_BYTES]

    async def RetryDocuments(self, request: messages.RetryDocumentsRequest, context: Context) -> messages.RetryDocumentsResponse:
        principal = call.principal()
        ids = sorted(request.document_ids)
        asked = work(principal, Kind.KIND_RETRY, request.collection_id, request_id=request.request_id)
        async with self._sessions.begin() as session:
            collection = await permission.lock_collection(session, principal, request.collection_id, Role.WRITE)
            choice = retries.Choice(collection.id, collection.generation, ids, request.include_permanent)
            first = await self._starter.record(session, asked, collection.id, [ids, request.include_permanent])
            if first is None:
                if not await retries.failed(session, choice, "", limit=1):
                    await self._starter.withdraw(session, asked)
                    return messages.RetryDocumentsResponse()
                await audit.record(session, collection.id, "document.retry", documents=len(ids))
        count = await self._reopen(choice) if first is None else 0
        return messages.RetryDocumentsResponse(operation=await self._starter.send(asked), document_count=count)

    async def _reopen(self, choice: retries.Choice) -> int:
        """Let failed documents wait again, page by page, so that no statement is long."""
        count, after = 0, ""
        while True:
            async with self._sessions.begin() as session:
                await collections.lock(session, choice.collection_id)
                page = await retries.failed(session, choice, after, _RETRIED_PAGE)
                count += await retries.reopen(session, choice.generation, page) if page else 0
            if len(page) < _RETRIED_PAGE:
                return count
            after = page[-1]

    async def DeleteDocument(self, request: messages.DeleteDocumentRequest, context: Context) -> messages.DeleteDocumentResponse:
        principal = call.principal()
        async with self._sessions.begin() as session:
            document = await permission.lock_document(session, principal, request.document_id, Role.WRITE)
            asked = work(principal, Kind.KIND_PURGE, document.collection_id)
            await self._starter.record(session, asked, document.id, "purge")
            if document.state != DocumentState.DELETED:
                await documents.delete(session, document.collection_id, document.id)
                await audit.record(session, document.collection_id, "document.delete", document_id=document.id, path=document.path)
        await self._visibility.hide_document(document.collection_id, document.id, document.content_version)
        return messages.DeleteDocumentResponse(operation=await self._starter.send(asked))

    async def UndeleteDocument(self, request: messages.UndeleteDocumentRequest, context: Context) -> messages.UndeleteDocumentResponse:
        principal = call.principal()
        async with self._sessions.begin() as session:
            document = await permission.lock_document(session, principal, request.document_id, Role.WRITE)
            source = await session.get_one(Source, document.source_id)
            is_upload = source.kind == SourceKind.UPLOAD
            if document.state not in (DocumentState.DELETED, IndexState.PENDING):
                return messages.UndeleteDocumentResponse(document=document_message(document, document.role))
            kind, source_id = (Kind.KIND_APPEND, "") if is_upload else (Kind.KIND_SYNC, document.source_id)
            asked = work(principal, kind, document.collection_id, source_id=source_id)
            await self._starter.record(session, asked, document.id, "undelete")
            if document.state == DocumentState.DELETED:
                await _bring_back(session, document, is_upload=is_upload)
                await audit.record(session, document.collection_id, "document.undelete", document_id=document.id, path=document.path)
                document = await permission.require_document(session, principal, document.id, Role.WRITE)
        message = document_message(document, document.role)
        return messages.UndeleteDocumentResponse(document=message, operation=await self._starter.send(asked))


async def _bring_back(session: AsyncSession, document: AnyRow, *, is_upload: bool) -> None:
    if not is_upload:
        await undeletes.undelete_file(session, document)
    elif not await undeletes.undelete_upload(session, document):
        raise Failure(
            StatusCode.FAILED_PRECONDITION,
            ErrorReason.ERROR_REASON_DOCUMENT_PURGED,
            "the uploaded file is gone since the document was deleted; upload it again",
            {"document_id": document.id},
        )


def _content_not_found(document_id: str) -> Failure:
    return Failure(
        StatusCode.NOT_FOUND,
        ErrorReason.ERROR_REASON_CONTENT_NOT_FOUND,
        "this content is not kept for the document",
        {"document_id": document_id},
    )
