"""DocumentService: documents come by upload, are listed and read, and go."""

from collections.abc import AsyncIterator

from google.api import httpbody_pb2
from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.db.tables import new_id
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from libs.rpc.paging import Pager, page_size
from semantik.collection.v1 import document_pb2, document_service_pb2_grpc
from semantik.collection.v1 import document_service_pb2 as messages
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1.index_internal_service_pb2 import DocumentVersion
from services.collection import objects as stored
from services.collection import permission, uploads
from services.collection.hiding import Hiding
from services.collection.locators import object_locator
from services.collection.objects import Objects
from services.collection.servicer import audit
from services.collection.servicer.shapes import document_message
from services.collection.starter import Kind, Starter, work
from services.collection.store import collections, documents, sources
from services.collection.tables import Artifact, ArtifactKind, Document, DocumentState, Reason, Role

_PART_BYTES = 256 * 1024


class DocumentServicer(document_service_pb2_grpc.DocumentServiceServicer):
    def __init__(self, sessions: Sessions, pager: Pager, starter: Starter, hiding: Hiding, objects: Objects, max_upload_bytes: int) -> None:
        self._sessions = sessions
        self._pager = pager
        self._starter = starter
        self._hiding = hiding
        self._objects = objects
        self._max_upload_bytes = max_upload_bytes

    async def UploadDocument(
        self, request_iterator: AsyncIterator[messages.UploadDocumentRequest], context: Context
    ) -> messages.UploadDocumentResponse:
        principal = call.principal()
        with await uploads.receive(self._permitted(request_iterator), self._max_upload_bytes) as upload:
            async with self._sessions() as session:
                await permission.require(session, principal, upload.collection_id, Role.WRITE)
                existing = await documents.by_uri(session, upload.collection_id, _uri(upload.name))
            document_id = existing.id if existing else new_id()
            key = stored.key(upload.collection_id, document_id, ArtifactKind.ORIGINAL, upload.content_sha256)
            await self._objects.put_file(key, upload.path)
            asked = work(principal, Kind.KIND_APPEND, upload.collection_id, request_id=upload.request_id)
            async with self._sessions.begin() as session:
                await permission.require(session, principal, upload.collection_id, Role.WRITE)
                first = await self._starter.record(session, asked, document_id, [upload.name, upload.content_sha256])
                if first is None:
                    document = await _take_in(session, upload, document_id, key)
                    await audit.record(session, upload.collection_id, "document.upload", document_id=document.id, name=upload.name)
                else:
                    document = await permission.require_document(session, principal, first, Role.READ)
        return messages.UploadDocumentResponse(document=document_message(document), operation=await self._starter.send(asked))

    async def _permitted(self, messages_in: AsyncIterator[messages.UploadDocumentRequest]) -> AsyncIterator[messages.UploadDocumentRequest]:
        """Refuse before the first byte is kept what would be refused after the last."""
        is_first = True
        async for message in messages_in:
            if is_first and message.collection_id:
                async with self._sessions() as session:
                    await permission.require(session, call.principal(), message.collection_id, Role.WRITE)
            is_first = False
            yield message

    async def ListDocuments(self, request: messages.ListDocumentsRequest, context: Context) -> messages.ListDocumentsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        async with self._sessions() as session:
            collection, _ = await permission.require(session, principal, request.collection_id, Role.READ)
            rows = await documents.listed(
                session,
                collection.id,
                source_id=request.source_id,
                states=[document_pb2.Document.State.Name(state).removeprefix("STATE_") for state in request.states],
                path_prefix=request.path_prefix,
                mime_type=request.mime_type,
                limit=size + 1,
                after=(str(cursor[0]), str(cursor[1])) if cursor else None,
            )
        page = rows[:size]
        token = self._pager.token([page[-1].path, page[-1].id], request, principal) if len(rows) > size else ""
        return messages.ListDocumentsResponse(documents=[document_message(row) for row in page], next_page_token=token)

    async def GetDocument(self, request: messages.GetDocumentRequest, context: Context) -> messages.GetDocumentResponse:
        async with self._sessions() as session:
            document = await permission.require_document(session, call.principal(), request.document_id, Role.READ)
        return messages.GetDocumentResponse(document=document_message(document))

    async def GetDocumentContent(
        self, request: messages.GetDocumentContentRequest, context: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        original = request.kind == messages.GetDocumentContentRequest.CONTENT_KIND_ORIGINAL
        async with self._sessions() as session:
            document = await permission.require_document(session, call.principal(), request.document_id, Role.READ)
            gone = document.state == DocumentState.DELETED
            artifact = (
                None if gone else await documents.artifact(session, document, ArtifactKind.ORIGINAL if original else ArtifactKind.TEXT)
            )
        if artifact is None:
            raise Failure(
                StatusCode.NOT_FOUND,
                ErrorReason.ERROR_REASON_CONTENT_NOT_FOUND,
                "this content is not kept for the document",
                {"document_id": document.id},
            )
        content_type = artifact.mime_type + (f"; charset={artifact.charset}" if artifact.charset else "")
        async for part in self._parts(artifact):
            yield httpbody_pb2.HttpBody(content_type=content_type, data=part)

    async def _parts(self, artifact: Artifact) -> AsyncIterator[bytes]:
        if artifact.object_key is not None:
            async for part in self._objects.stream(artifact.object_key):
                yield part
            return
        content = (artifact.text or "").encode()
        for start in range(0, max(1, len(content)), _PART_BYTES):
            yield content[start : start + _PART_BYTES]

    async def DeleteDocument(self, request: messages.DeleteDocumentRequest, context: Context) -> messages.DeleteDocumentResponse:
        principal = call.principal()
        async with self._sessions.begin() as session:
            await permission.require_document(session, principal, request.document_id, Role.WRITE)
            document = await documents.locked(session, request.document_id)
            request_id = f"purge:{document.id}:{document.content_version}"
            asked = work(principal, Kind.KIND_PURGE, document.collection_id, request_id=request_id)
            if document.state != DocumentState.DELETED:
                await self._starter.record(session, asked, document.id, "purge")
                await documents.delete(session, document)
                await collections.recount(session, document.collection_id)
                await audit.record(session, document.collection_id, "document.delete", document_id=document.id, path=document.path)
        version = DocumentVersion(document_id=document.id, content_version=document.content_version)
        await self._hiding.hide_documents(document.collection_id, [version])
        return messages.DeleteDocumentResponse(operation=await self._starter.send(asked))


def _uri(name: str) -> str:
    return f"upload:{name}"


async def _take_in(session: AsyncSession, upload: uploads.Upload, document_id: str, key: str) -> Document:
    """Store the document's row for a new content; equal content that is live elsewhere makes it a duplicate."""
    source = await sources.for_uploads(session, upload.collection_id)
    document = await documents.by_uri(session, upload.collection_id, _uri(upload.name))
    if document is None:
        document = Document(
            id=document_id,
            collection_id=upload.collection_id,
            source_id=source.id,
            uri=_uri(upload.name),
            path=upload.name,
            name=upload.name.rpartition("/")[2],
        )
        session.add(document)
    elif document.content_sha256 == upload.content_sha256 and document.state in (DocumentState.PENDING, DocumentState.INDEXED):
        return document
    twin = await documents.with_content(session, upload.collection_id, upload.content_sha256, document.id)
    document.size_bytes = upload.size_bytes
    document.mime_type = upload.content_type.partition(";")[0]
    document.content_sha256 = upload.content_sha256
    document.content_version = (document.content_version or 0) + 1
    document.delete_time = None
    document.error_message = ""
    document.source_metadata = {**object_locator(key)}
    document.state = DocumentState.SKIPPED if twin else DocumentState.PENDING
    document.reason = Reason.DUPLICATE if twin else None
    document.duplicate_of = twin.id if twin else None
    await session.flush()
    original = Artifact(
        document_id=document.id,
        content_version=document.content_version,
        kind=ArtifactKind.ORIGINAL,
        mime_type=document.mime_type or "application/octet-stream",
        object_key=key,
        content_sha256=upload.content_sha256,
        size_bytes=upload.size_bytes,
    )
    session.add(original)
    await session.flush()
    await session.refresh(document)
    return document
