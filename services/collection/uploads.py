"""Receives an upload, with its size and digest, into memory or a file without a name."""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import IO

from grpc import StatusCode

from libs.rpc.errors import Failure, storage_full
from semantik.collection.v1 import document_service_pb2 as messages
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection import media_types, metrics
from services.collection.metadata import Change
from services.collection.objects import is_full

_MEMORY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """One upload, received whole; ``mime_type`` is empty where the caller did not say."""

    collection_id: str
    name: str
    request_id: str
    mime_type: str
    file: IO[bytes]
    size_bytes: int
    sha256: str
    noted: Change = field(default_factory=Change)


@asynccontextmanager
async def received(parts: AsyncIterator[messages.UploadDocumentRequest], max_bytes: int) -> AsyncIterator[Upload]:
    """Receive a stream to its end, and hold it for the block. Bytes are written and hashed in threads.

    Raises UPLOAD_INVALID for parts that disagree, UPLOAD_TOO_LARGE, and STORAGE_FULL where the disk for temporary files is full.
    """
    # A file without a name is gone with its descriptor, whatever ends the process.
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY_BYTES, prefix="semantik-upload-") as file:
        try:
            upload = await _receive(parts, file, max_bytes)
        except OSError as error:
            if is_full(error):
                raise storage_full("the directory for temporary files") from error
            raise
        metrics.upload_bytes.inc(upload.size_bytes)
        yield upload


async def _receive(parts: AsyncIterator[messages.UploadDocumentRequest], file: IO[bytes], max_bytes: int) -> Upload:
    first: messages.UploadDocumentRequest | None = None
    digest, size = hashlib.sha256(), 0

    def take(data: bytes) -> None:
        digest.update(data)
        file.write(data)

    async for part in parts:
        if first is None:
            first = part
            _check_first(part)
        elif any(getattr(part, field) not in ("", getattr(first, field)) for field in ("collection_id", "name", "request_id")):
            raise _invalid("a later message names another upload")
        size += len(part.content.data)
        if size > max_bytes:
            raise Failure(
                StatusCode.RESOURCE_EXHAUSTED,
                ErrorReason.ERROR_REASON_UPLOAD_TOO_LARGE,
                f"an upload has at most {max_bytes} bytes",
                {"limit_bytes": str(max_bytes)},
            )
        await asyncio.to_thread(take, part.content.data)
    if first is None:
        raise _invalid("the upload has no messages")
    await asyncio.to_thread(file.seek, 0)
    mime_type = media_types.parsed(first.content.content_type)
    noted = Change(dict(first.metadata), list(first.metadata_entries))
    return Upload(first.collection_id, first.name, first.request_id, mime_type or "", file, size, digest.hexdigest(), noted)


def _check_first(part: messages.UploadDocumentRequest) -> None:
    if not part.collection_id:
        raise _invalid("the first message must name the collection", "collection_id")
    if not part.name.strip():
        raise _invalid("the first message must name the file", "name")
    if media_types.parsed(part.content.content_type) is None:
        raise _invalid("content_type must be a media type such as text/plain", "content")


def _invalid(message: str, field: str = "") -> Failure:
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_UPLOAD_INVALID, message, field=field)
