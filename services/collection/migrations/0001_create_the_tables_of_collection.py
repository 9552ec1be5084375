"""Create the tables of collection."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "chunks",
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.BigInteger(), nullable=False),
        sa.Column("chunking_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("start_offset", sa.BigInteger(), nullable=False),
        sa.Column("end_offset", sa.BigInteger(), nullable=False),
        sa.Column("token_count", sa.Integer(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("page", sa.Integer(), nullable=False),
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("parent_ordinal", sa.Integer(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("collection_id", "document_id", "content_version", "chunking_id", "ordinal", name=op.f("pk_chunks")),
        schema="collection",
        postgresql_partition_by="HASH (collection_id)",
    )
    for part in range(16):
        op.execute(f"CREATE TABLE collection.chunks_p{part} PARTITION OF collection.chunks FOR VALUES WITH (MODULUS 16, REMAINDER {part})")
    op.create_table(
        "collection_audit_log",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection_audit_log")),
        schema="collection",
    )
    op.create_index(
        op.f("ix_collection_audit_log_collection_id_id"), "collection_audit_log", ["collection_id", "id"], unique=False, schema="collection"
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("write_fence", sa.BigInteger(), nullable=False),
        sa.Column("document_count", sa.BigInteger(), nullable=False),
        sa.Column("chunk_count", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("meta", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(
            "state IN ('PENDING', 'READY', 'PROCESSING', 'ERROR', 'DEGRADED', 'DELETING')", name=op.f("ck_collections_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        schema="collection",
    )
    op.create_index("ix_collections_owner", "collections", ["owner_id", "create_time", "id"], unique=False, schema="collection")
    op.create_index(
        "ix_collections_deleting",
        "collections",
        ["update_time"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("state = 'DELETING'"),
    )
    op.create_index(
        "ix_collections_public",
        "collections",
        ["create_time", "id"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("is_public"),
    )
    op.create_index(
        "uq_collections_owner_name",
        "collections",
        ["owner_id", "name"],
        unique=True,
        schema="collection",
        postgresql_where=sa.text("state <> 'DELETING'"),
    )
    op.create_table(
        "embedding_cache",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("last_used_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("digest", "precision", "text_sha256", name=op.f("pk_embedding_cache")),
        schema="collection",
    )
    op.create_index(op.f("ix_embedding_cache_last_used_time"), "embedding_cache", ["last_used_time"], unique=False, schema="collection")
    op.create_table(
        "object_deletions",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("delete_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_object_deletions")),
        schema="collection",
    )
    op.create_index(op.f("ix_object_deletions_delete_time"), "object_deletions", ["delete_time"], unique=False, schema="collection")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("dead_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        schema="collection",
    )
    op.create_index(
        "ix_outbox_next_time", "outbox", ["next_time"], unique=False, schema="collection", postgresql_where=sa.text("dead_time IS NULL")
    )
    op.create_table(
        "start_requests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_start_requests")),
        schema="collection",
    )
    op.create_index("ix_start_requests_create_time", "start_requests", ["create_time"], unique=False, schema="collection")
    op.create_table(
        "collection_grants",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("api_key_id", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("role IN ('READ', 'WRITE', 'ADMIN', 'OWNER')", name=op.f("ck_collection_grants_role")),
        sa.CheckConstraint("(user_id IS NULL) <> (api_key_id IS NULL)", name=op.f("ck_collection_grants_holder")),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.collections.id"], name=op.f("fk_collection_grants_collection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection_grants")),
        schema="collection",
    )
    op.create_index("ix_collection_grants_user", "collection_grants", ["user_id"], unique=False, schema="collection")
    op.create_index(
        "uq_collection_grants_api_key",
        "collection_grants",
        ["collection_id", "api_key_id"],
        unique=True,
        schema="collection",
        postgresql_where=sa.text("api_key_id IS NOT NULL"),
    )
    op.create_index(
        "uq_collection_grants_user",
        "collection_grants",
        ["collection_id", "user_id"],
        unique=True,
        schema="collection",
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_table(
        "index_generations",
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("qdrant_name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("max_length", sa.Integer(), nullable=False),
        sa.Column("pooling", sa.Text(), nullable=False),
        sa.Column("chunk_strategy", sa.Text(), nullable=False),
        sa.Column("chunk_size", sa.Integer(), nullable=False),
        sa.Column("chunk_overlap", sa.Integer(), nullable=False),
        sa.Column("chunking_id", sa.Text(), nullable=False),
        sa.Column("switch_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("drop_after", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("precision IN ('INT8', 'FLOAT32', 'FLOAT16')", name=op.f("ck_index_generations_precision")),
        sa.CheckConstraint("state IN ('BUILDING', 'ACTIVE', 'PREVIOUS', 'DROPPING')", name=op.f("ck_index_generations_state")),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.collections.id"], name=op.f("fk_index_generations_collection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("collection_id", "generation", name=op.f("pk_index_generations")),
        sa.UniqueConstraint("qdrant_name", name=op.f("uq_index_generations_qdrant_name")),
        schema="collection",
    )
    op.create_table(
        "index_writes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("document_ids", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("content_versions", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.collections.id"], name=op.f("fk_index_writes_collection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_writes")),
        schema="collection",
    )
    op.create_index("ix_index_writes_collection", "index_writes", ["collection_id"], unique=False, schema="collection")
    op.create_table(
        "operation_counts",
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("indexed", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.collections.id"], name=op.f("fk_operation_counts_collection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("operation_id", name=op.f("pk_operation_counts")),
        schema="collection",
    )
    op.create_index("ix_operation_counts_update_time", "operation_counts", ["update_time"], unique=False, schema="collection")
    op.create_table(
        "sources",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("document_count", sa.BigInteger(), nullable=False),
        sa.Column("chunk_count", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("last_sync_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_sync_summary", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("delete_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("kind IN ('DIRECTORY', 'UPLOAD')", name=op.f("ck_sources_kind")),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.collections.id"], name=op.f("fk_sources_collection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        schema="collection",
    )
    op.create_index("ix_sources_collection", "sources", ["collection_id", "create_time", "id"], unique=False, schema="collection")
    op.create_index(
        "ix_sources_removed",
        "sources",
        ["delete_time"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("delete_time IS NOT NULL"),
    )
    op.create_index(
        "uq_sources_location",
        "sources",
        ["collection_id", "location"],
        unique=True,
        schema="collection",
        postgresql_where=sa.text("delete_time IS NULL"),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("is_original", sa.Boolean(), nullable=False),
        sa.Column("duplicate_of", sa.Text(), nullable=True),
        sa.Column("content_version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("source_modify_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source_metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("metadata", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("delete_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("purge_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("state IN ('PRESENT', 'DELETED')", name=op.f("ck_documents_state")),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["collection.collections.id"], name=op.f("fk_documents_collection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["source_id"], ["collection.sources.id"], name=op.f("fk_documents_source_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        schema="collection",
    )
    op.create_index(
        "ix_documents_duplicate",
        "documents",
        ["collection_id", "content_sha256", "id"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("duplicate_of IS NOT NULL"),
    )
    op.create_index("ix_documents_path", "documents", ["collection_id", "path", "id"], unique=False, schema="collection")
    op.create_index(
        "ix_documents_purge",
        "documents",
        ["collection_id", "id"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("state = 'DELETED' AND purge_time IS NULL"),
    )
    op.create_index("ix_documents_source", "documents", ["source_id", "id"], unique=False, schema="collection")
    op.create_index(
        "uq_documents_original",
        "documents",
        ["collection_id", "content_sha256"],
        unique=True,
        schema="collection",
        postgresql_where=sa.text("is_original"),
    )
    op.create_index("uq_documents_uri", "documents", ["collection_id", "uri"], unique=True, schema="collection")
    op.create_table(
        "document_artifacts",
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mime_type", sa.Text(), nullable=False),
        sa.Column("charset", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("content_sha256", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("is_truncated", sa.Boolean(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("kind IN ('ORIGINAL', 'TEXT')", name=op.f("ck_document_artifacts_kind")),
        sa.ForeignKeyConstraint(
            ["document_id"], ["collection.documents.id"], name=op.f("fk_document_artifacts_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", "content_version", "kind", name=op.f("pk_document_artifacts")),
        schema="collection",
    )
    op.create_table(
        "document_indexes",
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("content_version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.Column("is_retryable", sa.Boolean(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("indexed_version", sa.BigInteger(), nullable=False),
        sa.Column("chunk_count", sa.Integer(), nullable=False),
        sa.Column("token_count", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("index_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(
            "reason IS NULL OR reason IN ('DUPLICATE', 'UNSUPPORTED_TYPE', 'EMPTY', 'TOO_LARGE', 'UNSAFE_PATH', 'UNREADABLE', 'CORRUPT', 'ENCRYPTED', 'TOO_COSTLY', 'POISON', 'INTERNAL', 'SECRET')",
            name=op.f("ck_document_indexes_reason"),
        ),
        sa.CheckConstraint("state IN ('PENDING', 'PROCESSING', 'INDEXED', 'SKIPPED', 'FAILED')", name=op.f("ck_document_indexes_state")),
        sa.ForeignKeyConstraint(
            ["document_id"], ["collection.documents.id"], name=op.f("fk_document_indexes_document_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("document_id", "generation", name=op.f("pk_document_indexes")),
        schema="collection",
    )
    op.create_index(
        "ix_document_indexes_open",
        "document_indexes",
        ["collection_id", "generation", "document_id"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("state IN ('PENDING', 'PROCESSING')"),
    )
    op.create_index(
        "ix_document_indexes_refused",
        "document_indexes",
        ["collection_id", "generation", "document_id"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("state IN ('SKIPPED', 'FAILED')"),
    )
    op.create_index(
        "ix_document_indexes_stale",
        "document_indexes",
        ["collection_id", "generation", "document_id"],
        unique=False,
        schema="collection",
        postgresql_where=sa.text("state IN ('SKIPPED', 'FAILED') AND indexed_version > 0"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_document_indexes_stale",
        table_name="document_indexes",
        schema="collection",
        postgresql_where=sa.text("state IN ('SKIPPED', 'FAILED') AND indexed_version > 0"),
    )
    op.drop_index(
        "ix_document_indexes_refused",
        table_name="document_indexes",
        schema="collection",
        postgresql_where=sa.text("state IN ('SKIPPED', 'FAILED')"),
    )
    op.drop_index(
        "ix_document_indexes_open",
        table_name="document_indexes",
        schema="collection",
        postgresql_where=sa.text("state IN ('PENDING', 'PROCESSING')"),
    )
    op.drop_table("document_indexes", schema="collection")
    op.drop_table("document_artifacts", schema="collection")
    op.drop_index("uq_documents_uri", table_name="documents", schema="collection")
    op.drop_index("uq_documents_original", table_name="documents", schema="collection", postgresql_where=sa.text("is_original"))
    op.drop_index("ix_documents_source", table_name="documents", schema="collection")
    op.drop_index(
        "ix_documents_purge",
        table_name="documents",
        schema="collection",
        postgresql_where=sa.text("state = 'DELETED' AND purge_time IS NULL"),
    )
    op.drop_index("ix_documents_path", table_name="documents", schema="collection")
    op.drop_index(
        "ix_documents_duplicate", table_name="documents", schema="collection", postgresql_where=sa.text("duplicate_of IS NOT NULL")
    )
    op.drop_table("documents", schema="collection")
    op.drop_index("uq_sources_location", table_name="sources", schema="collection", postgresql_where=sa.text("delete_time IS NULL"))
    op.drop_index("ix_sources_removed", table_name="sources", schema="collection", postgresql_where=sa.text("delete_time IS NOT NULL"))
    op.drop_index("ix_sources_collection", table_name="sources", schema="collection")
    op.drop_table("sources", schema="collection")
    op.drop_index("ix_operation_counts_update_time", table_name="operation_counts", schema="collection")
    op.drop_table("operation_counts", schema="collection")
    op.drop_index("ix_index_writes_collection", table_name="index_writes", schema="collection")
    op.drop_table("index_writes", schema="collection")
    op.drop_table("index_generations", schema="collection")
    op.drop_index(
        "uq_collection_grants_user", table_name="collection_grants", schema="collection", postgresql_where=sa.text("user_id IS NOT NULL")
    )
    op.drop_index(
        "uq_collection_grants_api_key",
        table_name="collection_grants",
        schema="collection",
        postgresql_where=sa.text("api_key_id IS NOT NULL"),
    )
    op.drop_index("ix_collection_grants_user", table_name="collection_grants", schema="collection")
    op.drop_table("collection_grants", schema="collection")
    op.drop_index("ix_start_requests_create_time", table_name="start_requests", schema="collection")
    op.drop_table("start_requests", schema="collection")
    op.drop_index("ix_outbox_next_time", table_name="outbox", schema="collection", postgresql_where=sa.text("dead_time IS NULL"))
    op.drop_table("outbox", schema="collection")
    op.drop_index(op.f("ix_object_deletions_delete_time"), table_name="object_deletions", schema="collection")
    op.drop_table("object_deletions", schema="collection")
    op.drop_index(op.f("ix_embedding_cache_last_used_time"), table_name="embedding_cache", schema="collection")
    op.drop_table("embedding_cache", schema="collection")
    op.drop_index(
        "uq_collections_owner_name", table_name="collections", schema="collection", postgresql_where=sa.text("state <> 'DELETING'")
    )
    op.drop_index("ix_collections_public", table_name="collections", schema="collection", postgresql_where=sa.text("is_public"))
    op.drop_index("ix_collections_owner", table_name="collections", schema="collection")
    op.drop_index("ix_collections_deleting", table_name="collections", schema="collection", postgresql_where=sa.text("state = 'DELETING'"))
    op.drop_table("collections", schema="collection")
    op.drop_index(op.f("ix_collection_audit_log_collection_id_id"), table_name="collection_audit_log", schema="collection")
    op.drop_table("collection_audit_log", schema="collection")
    op.drop_table("chunks", schema="collection")
