"""Documents: upload, list, read, note on, retry and delete them."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

from google.api import httpbody_pb2

from semantik.client.errors import SemantikError
from semantik.client.metadata import Metadata, metadata_values
from semantik.client.session import Session
from semantik.collection.v1 import document_pb2, document_service_pb2, document_service_pb2_grpc
from semantik.operation.v1 import operation_pb2

_PART_BYTES = 256 * 1024
_UPLOAD_SECONDS = 600.0
_ATTEMPTS = 5
# What grpcio makes of an answer that arrives while a part is being sent: the answer is lost.
_ANSWER_LOST = ("INTERNAL", "Internal error from Core")


class Documents:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub = document_service_pb2_grpc.DocumentServiceStub(session.channel)

    async def upload(
        self,
        collection_id: str,
        path: Path,
        name: str = "",
        *,
        metadata: Metadata | None = None,
        metadata_entries: Sequence[str] = (),
        request_id: str = "",
    ) -> tuple[document_pb2.Document, operation_pb2.Operation]:
        """Upload a file under ``name`` (its own by default); return the document and the operation that indexes it.

        ``metadata`` is noted on the document, and so are ``metadata_entries``, texts such as ``year=2020``. The operation has no id where
        there is nothing to index.
        """

        async def parts() -> AsyncGenerator[document_service_pb2.UploadDocumentRequest, None]:
            first = document_service_pb2.UploadDocumentRequest(
                collection_id=collection_id,
                name=name or path.name,
                request_id=request_id,
                metadata=metadata_values(metadata or {}),
                metadata_entries=metadata_entries,
            )
            yield first
            with path.open("rb") as file:
                while data := file.read(_PART_BYTES):
                    yield document_service_pb2.UploadDocumentRequest(content=httpbody_pb2.HttpBody(data=data))

        for attempt in range(1, _ATTEMPTS + 1):
            try:
                async with aclosing(parts()) as sent:  # a refusal comes before the end of the file
                    answer = await self._session.call(self._stub.UploadDocument, sent, timeout=_UPLOAD_SECONDS)
            except SemantikError as error:
                # Nothing is accepted before the last part is sent, so repeating the call has no second effect.
                # After a refused token the session has another one.
                is_refused = error.reason == "TOKEN_INVALID" and attempt == 1
                if not is_refused and ((error.code, error.message) != _ANSWER_LOST or attempt == _ATTEMPTS):
                    raise
            else:
                return answer.document, answer.operation
        raise AssertionError

    async def list(
        self,
        collection_id: str,
        *,
        source_id: str = "",
        path_prefix: str = "",
        states: "Sequence[document_pb2.Document.State.ValueType]" = (),
    ) -> AsyncIterator[document_pb2.Document]:
        """Yield a collection's documents by path: those in one of ``states``, by default all but deleted ones."""
        request = document_service_pb2.ListDocumentsRequest(
            collection_id=collection_id, source_id=source_id, path_prefix=path_prefix, states=states, page_size=500
        )
        while True:
            answer = await self._session.call(self._stub.ListDocuments, request)
            for document in answer.documents:
                yield document
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    async def get(self, document_id: str) -> document_pb2.Document:
        return (await self._session.call(self._stub.GetDocument, document_service_pb2.GetDocumentRequest(document_id=document_id))).document

    async def update(
        self, document_id: str, *, metadata: Metadata | None = None, metadata_entries: Sequence[str] = (), removed_keys: Sequence[str] = ()
    ) -> tuple[document_pb2.Document, operation_pb2.Operation]:
        """Note values on a document and remove others; return it and the operation that brings them to searches.

        ``metadata_entries`` are texts such as ``year=2020``. The operation has no id where nothing changes.
        """
        request = document_service_pb2.UpdateDocumentRequest(
            document_id=document_id,
            metadata=metadata_values(metadata or {}),
            metadata_entries=metadata_entries,
            removed_keys=removed_keys,
        )
        answer = await self._session.call(self._stub.UpdateDocument, request)
        return answer.document, answer.operation

    async def content(self, document_id: str, *, original: bool = False) -> AsyncIterator[bytes]:
        """Yield the text that was indexed (UTF-8), or the bytes of the uploaded file."""
        kinds = document_service_pb2.GetDocumentContentRequest
        kind = kinds.CONTENT_KIND_ORIGINAL if original else kinds.CONTENT_KIND_TEXT
        request = document_service_pb2.GetDocumentContentRequest(document_id=document_id, kind=kind)
        async for body in self._session.stream(self._stub.GetDocumentContent, request):
            yield body.data

    async def retry(
        self, collection_id: str, document_ids: Sequence[str] = (), *, include_permanent: bool = False, request_id: str = ""
    ) -> tuple[int, operation_pb2.Operation]:
        """Try failed documents again, all of the collection or those named; return their number and the operation.

        Those for which a retry is unlikely to help are left out unless ``include_permanent``. The operation has no id where
        there is nothing to retry.
        """
        request = document_service_pb2.RetryDocumentsRequest(
            collection_id=collection_id, document_ids=document_ids, include_permanent=include_permanent, request_id=request_id
        )
        answer = await self._session.call(self._stub.RetryDocuments, request)
        return answer.document_count, answer.operation

    async def delete(self, document_id: str) -> operation_pb2.Operation:
        """Delete a document; no search that starts after this returns finds it."""
        request = document_service_pb2.DeleteDocumentRequest(document_id=document_id)
        return (await self._session.call(self._stub.DeleteDocument, request)).operation

    async def undelete(self, document_id: str) -> tuple[document_pb2.Document, operation_pb2.Operation]:
        """Bring a deleted document back; return it and the operation that indexes it.

        A document of a directory whose file is gone, or that its source leaves out, is removed by that operation. Raises
        DOCUMENT_PURGED for an upload whose bytes are gone. The operation has no id where the document was not deleted.
        """
        request = document_service_pb2.UndeleteDocumentRequest(document_id=document_id)
        answer = await self._session.call(self._stub.UndeleteDocument, request)
        return answer.document, answer.operation
