"""The rows of the schema ``collection`` and the rules that hold on one row."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, false, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from libs.db.tables import Timestamped, metadata, new_id, one_of
from libs.outbox.table import OutboxRow


class Base(Timestamped):
    __abstract__ = True
    metadata = metadata("collection")


class CollectionState(StrEnum):
    PENDING = "PENDING"
    READY = "READY"
    PROCESSING = "PROCESSING"
    ERROR = "ERROR"
    DEGRADED = "DEGRADED"
    DELETING = "DELETING"


class GenerationState(StrEnum):
    BUILDING = "BUILDING"
    ACTIVE = "ACTIVE"
    PREVIOUS = "PREVIOUS"
    DROPPING = "DROPPING"


class Precision(StrEnum):
    INT8 = "INT8"
    FLOAT32 = "FLOAT32"
    FLOAT16 = "FLOAT16"


class Role(StrEnum):
    READ = "READ"
    WRITE = "WRITE"
    ADMIN = "ADMIN"
    OWNER = "OWNER"


class SourceKind(StrEnum):
    DIRECTORY = "DIRECTORY"
    UPLOAD = "UPLOAD"


class DocumentState(StrEnum):
    """Whether a document is there at all; how far its index is, is ``IndexState``."""

    PRESENT = "PRESENT"
    DELETED = "DELETED"


class IndexState(StrEnum):
    """How far a document is in one generation."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    INDEXED = "INDEXED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class Reason(StrEnum):
    DUPLICATE = "DUPLICATE"
    UNSUPPORTED_TYPE = "UNSUPPORTED_TYPE"
    EMPTY = "EMPTY"
    TOO_LARGE = "TOO_LARGE"
    UNSAFE_PATH = "UNSAFE_PATH"
    UNREADABLE = "UNREADABLE"
    CORRUPT = "CORRUPT"
    ENCRYPTED = "ENCRYPTED"
    TOO_COSTLY = "TOO_COSTLY"
    POISON = "POISON"
    INTERNAL = "INTERNAL"
    SECRET = "SECRET"  # noqa: S105 - a reason


class ArtifactKind(StrEnum):
    ORIGINAL = "ORIGINAL"
    TEXT = "TEXT"


class Collection(Base):
    __tablename__ = "collections"
    __table_args__ = (
        one_of("state", CollectionState),
        # A collection on its way out gives its name back at once.
        Index("uq_collections_owner_name", "owner_id", "name", unique=True, postgresql_where=text("state <> 'DELETING'")),
        Index("ix_collections_owner", "owner_id", "create_time", "id"),
        Index("ix_collections_public", "create_time", "id", postgresql_where=text("is_public")),
        Index("ix_collections_deleting", "update_time", postgresql_where=text("state = 'DELETING'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    owner_id: Mapped[str]
    is_public: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(default=CollectionState.PENDING)
    state_reason: Mapped[str] = mapped_column(default="")
    generation: Mapped[int] = mapped_column(default=1)
    write_fence: Mapped[int] = mapped_column(BigInteger, default=0)
    document_count: Mapped[int] = mapped_column(BigInteger, default=0)
    chunk_count: Mapped[int] = mapped_column(BigInteger, default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    meta: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    language: Mapped[str] = mapped_column(default="", server_default="")  # empty where it is detected


class Generation(Base):
    __tablename__ = "index_generations"
    __table_args__ = (one_of("state", GenerationState), one_of("precision", Precision))

    collection_id: Mapped[str] = mapped_column(ForeignKey(Collection.id, ondelete="CASCADE"), primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    state: Mapped[str]
    qdrant_name: Mapped[str] = mapped_column(unique=True)
    model: Mapped[str]
    digest: Mapped[str]
    precision: Mapped[str]
    dimension: Mapped[int]
    max_length: Mapped[int]
    pooling: Mapped[str]
    chunk_strategy: Mapped[str] = mapped_column(default="recursive")
    chunk_size: Mapped[int]
    chunk_overlap: Mapped[int]
    chunking_id: Mapped[str]
    language: Mapped[str] = mapped_column(default="en", server_default="en")  # in which its index has the words
    switch_time: Mapped[datetime | None]
    drop_after: Mapped[datetime | None]


class Source(Base):
    __tablename__ = "sources"
    __table_args__ = (
        one_of("kind", SourceKind),
        Index("uq_sources_location", "collection_id", "location", unique=True, postgresql_where=text("delete_time IS NULL")),
        Index("ix_sources_collection", "collection_id", "create_time", "id"),
        Index("ix_sources_removed", "delete_time", postgresql_where=text("delete_time IS NOT NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    collection_id: Mapped[str] = mapped_column(ForeignKey(Collection.id, ondelete="CASCADE"))
    kind: Mapped[str]
    location: Mapped[str]
    config: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    document_count: Mapped[int] = mapped_column(BigInteger, default=0)
    chunk_count: Mapped[int] = mapped_column(BigInteger, default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    last_sync_time: Mapped[datetime | None]
    last_sync_summary: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    delete_time: Mapped[datetime | None]


class Document(Base):
    __tablename__ = "documents"
    __table_args__ = (
        one_of("state", DocumentState),
        Index("uq_documents_uri", "collection_id", "uri", unique=True),
        # Equal bytes are indexed once in a collection; the others are duplicates of that one.
        Index("uq_documents_original", "collection_id", "content_sha256", unique=True, postgresql_where=text("is_original")),
        Index("ix_documents_path", "collection_id", "path", "id"),
        Index("ix_documents_source", "source_id", "id"),
        Index("ix_documents_duplicate", "collection_id", "content_sha256", "id", postgresql_where=text("duplicate_of IS NOT NULL")),
        # The work list of PURGE.
        Index("ix_documents_purge", "collection_id", "id", postgresql_where=text("state = 'DELETED' AND purge_time IS NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    collection_id: Mapped[str] = mapped_column(ForeignKey(Collection.id, ondelete="CASCADE"))
    source_id: Mapped[str] = mapped_column(ForeignKey(Source.id, ondelete="CASCADE"))
    uri: Mapped[str]
    path: Mapped[str]
    name: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    mime_type: Mapped[str] = mapped_column(default="")
    language: Mapped[str] = mapped_column(default="")
    content_sha256: Mapped[str] = mapped_column(default="")  # empty where the content was not read
    is_original: Mapped[bool] = mapped_column(default=False)  # it is indexed, or is to be, for its bytes
    duplicate_of: Mapped[str | None]  # the original with the same bytes when it became a duplicate; another one may have followed
    content_version: Mapped[int] = mapped_column(BigInteger, default=1)
    state: Mapped[str] = mapped_column(default=DocumentState.PRESENT)
    source_modify_time: Mapped[datetime | None]
    source_metadata: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)  # the connector's locator
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", JSONB, default=dict)
    metadata_version: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")  # rises with every change of it
    delete_time: Mapped[datetime | None]
    purge_time: Mapped[datetime | None]  # when a deleted document's content was gone from everywhere


_OPEN_SQL = "state IN ('PENDING', 'PROCESSING')"


class DocumentIndex(Base):
    """A document in one generation: the checkpoint of the work, the work list, and what the reconciler expects.

    ``indexed_version`` is the content version whose points the index holds, 0 for none; ``chunk_count``, ``token_count`` and
    ``size_bytes`` are of that version. ``content_version`` is the version that ``state`` speaks of.
    """

    __tablename__ = "document_indexes"
    __table_args__ = (
        one_of("state", IndexState),
        CheckConstraint(f"reason IS NULL OR reason IN ({', '.join(repr(r.value) for r in Reason)})", name="reason"),
        Index("ix_document_indexes_open", "collection_id", "generation", "document_id", postgresql_where=text(_OPEN_SQL)),
        Index(
            "ix_document_indexes_refused",
            "collection_id",
            "generation",
            "document_id",
            postgresql_where=text("state IN ('SKIPPED', 'FAILED')"),
        ),
        # What shows metadata that was changed meanwhile.
        Index("ix_document_indexes_metadata", "collection_id", "generation", "document_id", postgresql_where=text("metadata_is_stale")),
        # What the index still holds of documents that ended SKIPPED or FAILED.
        Index(
            "ix_document_indexes_stale",
            "collection_id",
            "generation",
            "document_id",
            postgresql_where=text("state IN ('SKIPPED', 'FAILED') AND indexed_version > 0"),
        ),
    )

    document_id: Mapped[str] = mapped_column(ForeignKey(Document.id, ondelete="CASCADE"), primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[str]
    content_version: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(default=IndexState.PENDING)
    reason: Mapped[str | None]
    error_message: Mapped[str] = mapped_column(default="")
    is_retryable: Mapped[bool] = mapped_column(default=False)
    deaths: Mapped[int] = mapped_column(default=0)  # workers that died while it was in their hands
    indexed_version: Mapped[int] = mapped_column(BigInteger, default=0)
    chunk_count: Mapped[int] = mapped_column(default=0)
    token_count: Mapped[int] = mapped_column(BigInteger, default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    metadata_is_stale: Mapped[bool] = mapped_column(default=False, server_default=false())  # its points show what was noted before
    index_time: Mapped[datetime | None]  # when it last ended INDEXED, SKIPPED or FAILED


class IndexWrite(Base):
    """A write to an index that is under way: made before the first point, gone once its documents are published.

    A worker that takes over finds here what its predecessor may have left in the index.
    """

    __tablename__ = "index_writes"
    __table_args__ = (Index("ix_index_writes_collection", "collection_id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    collection_id: Mapped[str] = mapped_column(ForeignKey(Collection.id, ondelete="CASCADE"))
    generation: Mapped[int]
    document_ids: Mapped[list[str]] = mapped_column(ARRAY(Text))
    content_versions: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


class OperationCount(Base):
    """What an operation has done so far, counted in the transactions that did it."""

    __tablename__ = "operation_counts"
    __table_args__ = (Index("ix_operation_counts_update_time", "update_time"),)

    operation_id: Mapped[str] = mapped_column(primary_key=True)
    collection_id: Mapped[str] = mapped_column(ForeignKey(Collection.id, ondelete="CASCADE"))
    indexed: Mapped[int] = mapped_column(BigInteger, default=0)
    skipped: Mapped[int] = mapped_column(BigInteger, default=0)
    failed: Mapped[int] = mapped_column(BigInteger, default=0)
    removed: Mapped[int] = mapped_column(BigInteger, default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    chunks: Mapped[int] = mapped_column(BigInteger, default=0)
    tokens: Mapped[int] = mapped_column(BigInteger, default=0)


class Artifact(Base):
    __tablename__ = "document_artifacts"
    __table_args__ = (one_of("kind", ArtifactKind),)

    document_id: Mapped[str] = mapped_column(ForeignKey(Document.id, ondelete="CASCADE"), primary_key=True)
    content_version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    mime_type: Mapped[str]
    charset: Mapped[str] = mapped_column(default="")
    object_key: Mapped[str | None]
    text: Mapped[str | None]
    content_sha256: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    is_truncated: Mapped[bool] = mapped_column(default=False)


class Chunk(Base):
    __tablename__ = "chunks"
    __table_args__ = ({"postgresql_partition_by": "HASH (collection_id)"},)

    collection_id: Mapped[str] = mapped_column(primary_key=True)
    document_id: Mapped[str] = mapped_column(primary_key=True)
    content_version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    chunking_id: Mapped[str] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    start_offset: Mapped[int] = mapped_column(BigInteger)
    end_offset: Mapped[int] = mapped_column(BigInteger)
    token_count: Mapped[int]
    text_sha256: Mapped[str]
    page: Mapped[int] = mapped_column(default=0)
    section: Mapped[str] = mapped_column(default="")
    level: Mapped[int] = mapped_column(default=0)
    parent_ordinal: Mapped[int | None]


class ObjectDeletion(Base):
    """An object without an owner, or one that an upload is about to give an owner to: deleted once its time has come."""

    __tablename__ = "object_deletions"

    key: Mapped[str] = mapped_column(primary_key=True)
    delete_time: Mapped[datetime] = mapped_column(index=True)


class CachedEmbedding(Base):
    __tablename__ = "embedding_cache"

    digest: Mapped[str] = mapped_column(primary_key=True)
    precision: Mapped[str] = mapped_column(primary_key=True)
    text_sha256: Mapped[str] = mapped_column(primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)
    last_used_time: Mapped[datetime] = mapped_column(index=True)


class Grant(Base):
    __tablename__ = "collection_grants"
    __table_args__ = (
        one_of("role", Role),
        CheckConstraint("(user_id IS NULL) <> (api_key_id IS NULL)", name="holder"),
        Index("uq_collection_grants_user", "collection_id", "user_id", unique=True, postgresql_where=text("user_id IS NOT NULL")),
        Index("uq_collection_grants_api_key", "collection_id", "api_key_id", unique=True, postgresql_where=text("api_key_id IS NOT NULL")),
        Index("ix_collection_grants_user", "user_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    collection_id: Mapped[str] = mapped_column(ForeignKey(Collection.id, ondelete="CASCADE"))
    user_id: Mapped[str | None]
    api_key_id: Mapped[str | None]
    role: Mapped[str]


class AuditEntry(Base):
    __tablename__ = "collection_audit_log"
    __table_args__ = (Index(None, "collection_id", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    collection_id: Mapped[str]  # no foreign key: the record outlives the collection
    operation_id: Mapped[str | None]
    actor: Mapped[str]
    action: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    address: Mapped[str]
    user_agent: Mapped[str]
    correlation_id: Mapped[str]


class StartRequest(Base):
    """Work that was asked for, kept a while so that a repeat is recognised. What is not sent yet is in the outbox."""

    __tablename__ = "start_requests"
    __table_args__ = (Index("ix_start_requests_create_time", "create_time"),)

    id: Mapped[str] = mapped_column(primary_key=True)  # the operation's id: UUIDv5 of user and request id
    body_hash: Mapped[str]
    resource_id: Mapped[str]  # what the first call made or touched: a source, a document, a collection


class Outbox(OutboxRow, Base):
    """Starts of operations that operation has not acknowledged; a row's id is the operation's."""
