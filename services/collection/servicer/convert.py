"""Rows of collection as messages of its contract."""

from pathlib import PurePosixPath

from libs.db.tables import AnyRow
from libs.rpc.timestamps import timestamp
from semantik.collection.v1 import collection_pb2, document_pb2, grant_pb2, source_pb2
from semantik.embedding.v1 import model_pb2
from services.collection import metadata
from services.collection.source_kinds import config_field
from services.collection.store.roles import includes
from services.collection.tables import Role


def role_message(role: str) -> "grant_pb2.Grant.Role.ValueType":
    return grant_pb2.Grant.Role.Value(f"ROLE_{role}")


def precision_message(precision: str) -> "model_pb2.Model.Precision.ValueType":
    return model_pb2.Model.Precision.Value(f"PRECISION_{precision}")


def collection_message(row: AnyRow) -> collection_pb2.Collection:
    return collection_pb2.Collection(
        id=row.id,
        name=row.name,
        description=row.description,
        owner_id=row.owner_id,
        is_public=row.is_public,
        state=collection_pb2.Collection.State.Value(f"STATE_{row.state}"),
        state_reason=row.state_reason,
        generation=row.generation,
        model=row.model,
        precision=precision_message(row.precision),
        chunk_size=row.chunk_size,
        chunk_overlap=row.chunk_overlap,
        document_count=row.document_count,
        chunk_count=row.chunk_count,
        size_bytes=row.size_bytes,
        language=row.language,
        index_language=row.index_language,
        role=role_message(row.role),
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
    )


def source_message(row: AnyRow, role: str | None) -> source_pb2.Source:
    """Return a source as who has ``role`` on its collection sees it: where it lies on the host is for those who may write."""
    location = row.location if includes(role, Role.WRITE) else PurePosixPath(row.location).name
    return source_pb2.Source(
        id=row.id,
        collection_id=row.collection_id,
        kind=source_pb2.Source.Kind.Value(f"KIND_{row.kind}"),
        location=location,
        document_count=row.document_count,
        size_bytes=row.size_bytes,
        last_sync_time=timestamp(row.last_sync_time),
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        **config_field(row.kind, location, row.config),
    )


def document_message(row: AnyRow, role: str | None) -> document_pb2.Document:
    """Return a document as who has ``role`` on its collection sees it, as ``source_message`` does."""
    reason = document_pb2.Document.Reason.Value(f"REASON_{row.reason}") if row.reason else document_pb2.Document.REASON_UNSPECIFIED
    return document_pb2.Document(
        id=row.id,
        collection_id=row.collection_id,
        source_id=row.source_id,
        uri=row.uri if includes(role, Role.WRITE) or not row.uri.startswith("file:") else "",
        path=row.path,
        name=row.name,
        size_bytes=row.size_bytes,
        mime_type=row.mime_type,
        language=row.language,
        content_sha256=row.content_sha256,
        duplicate_of=row.duplicate_of or "",
        content_version=row.content_version,
        state=document_pb2.Document.State.Value(f"STATE_{row.state}"),
        reason=reason,
        error_message=row.error_message,
        is_retryable=row.is_retryable,
        chunk_count=row.chunk_count,
        token_count=row.token_count,
        source_modify_time=timestamp(row.source_modify_time),
        create_time=timestamp(row.create_time),
        update_time=timestamp(row.update_time),
        delete_time=timestamp(row.delete_time),
        metadata=metadata.messages(row.user_metadata),
    )
