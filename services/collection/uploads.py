"""Receives an upload into a file beside memory, with its size and digest."""

import hashlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.collection.v1 import document_service_pb2 as messages
from semantik.error.v1.error_reason_pb2 import ErrorReason


@dataclass
class Upload:
    """One upload on disk; gone when left as a context manager."""

    collection_id: str
    name: str
    request_id: str
    content_type: str
    path: Path
    size_bytes: int
    content_sha256: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.path.unlink(missing_ok=True)


async def receive(messages_in: AsyncIterator[messages.UploadDocumentRequest], max_bytes: int) -> Upload:
    """Receive a stream to its end; raises UPLOAD_INVALID for parts that disagree and UPLOAD_TOO_LARGE."""
    first: messages.UploadDocumentRequest | None = None
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(prefix="semantik-upload-", delete=False) as file:
        path = Path(file.name)
        try:
            async for message in messages_in:
                if first is None:
                    first = message
                    _check_first(message)
                elif any(getattr(message, field) not in ("", getattr(first, field)) for field in ("collection_id", "name", "request_id")):
                    raise _invalid("a later message names another upload")
                size += len(message.content.data)
                if size > max_bytes:
                    raise Failure(
                        StatusCode.RESOURCE_EXHAUSTED,
                        ErrorReason.ERROR_REASON_UPLOAD_TOO_LARGE,
                        f"an upload has at most {max_bytes} bytes",
                        {"limit_bytes": str(max_bytes)},
                    )
                digest.update(message.content.data)
                file.write(message.content.data)
            if first is None:
                raise _invalid("the upload has no messages")
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    return Upload(first.collection_id, first.name, first.request_id, first.content.content_type, path, size, digest.hexdigest())


def _check_first(message: messages.UploadDocumentRequest) -> None:
    if not message.collection_id:
        raise _invalid("the first message must name the collection", "collection_id")
    if not message.name.strip():
        raise _invalid("the first message must name the file", "name")


def _invalid(message: str, field: str = "") -> Failure:
    return Failure(StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_UPLOAD_INVALID, message, field=field)
