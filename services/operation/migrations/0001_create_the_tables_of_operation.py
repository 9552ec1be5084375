"""Create the tables of operation."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("fences", schema="operation")))
    op.create_table(
        "operations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=True),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("principal", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("settle_state", sa.Text(), nullable=True),
        sa.Column("is_settling", sa.Boolean(), nullable=False),
        sa.Column("settles", sa.Integer(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("config", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("retry_of", sa.Text(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("fault", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("queue_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_short", sa.Boolean(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=True),
        sa.Column("claim_id", sa.Text(), nullable=True),
        sa.Column("claim_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claim_documents", sa.BigInteger(), nullable=False),
        sa.Column("wait_reason", sa.Text(), nullable=False),
        sa.Column("waits_for_operation_id", sa.Text(), nullable=True),
        sa.Column("operations_ahead", sa.Integer(), nullable=False),
        sa.Column("progress", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("desired IN ('RUN', 'YIELD', 'PAUSE', 'CANCEL')", name=op.f("ck_operations_desired")),
        sa.CheckConstraint(
            "kind IN ('INDEX', 'APPEND', 'SYNC', 'REINDEX', 'ROLLBACK', 'REMOVE_SOURCE', 'RETRY', 'PURGE', 'RECONCILE', 'EVALUATE', 'DELETE')",
            name=op.f("ck_operations_kind"),
        ),
        sa.CheckConstraint("slot IN ('LONG', 'SHORT')", name=op.f("ck_operations_slot")),
        sa.CheckConstraint(
            "state IN ('QUEUED', 'RUNNING', 'PAUSED', 'CANCELLING', 'SUCCEEDED', 'FAILED', 'CANCELLED')", name=op.f("ck_operations_state")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
        schema="operation",
    )
    op.create_index("ix_operations_collection", "operations", ["collection_id", "create_time", "id"], unique=False, schema="operation")
    op.create_index(
        "ix_operations_held",
        "operations",
        ["queue", "slot", "user_id"],
        unique=False,
        schema="operation",
        postgresql_where=sa.text("lease_owner IS NOT NULL"),
    )
    op.create_index("ix_operations_user", "operations", ["user_id", "create_time", "id"], unique=False, schema="operation")
    op.create_index(
        "ix_operations_waiting",
        "operations",
        ["queue", "collection_id"],
        unique=False,
        schema="operation",
        postgresql_where=sa.text("lease_owner IS NULL AND state IN ('QUEUED', 'CANCELLING')"),
    )
    op.create_index(
        "uq_operations_active_collection",
        "operations",
        ["collection_id"],
        unique=True,
        schema="operation",
        postgresql_where=sa.text("lease_owner IS NOT NULL OR state = 'PAUSED'"),
    )
    op.create_index(
        "uq_operations_claim_id",
        "operations",
        ["claim_id"],
        unique=True,
        schema="operation",
        postgresql_where=sa.text("lease_owner IS NOT NULL"),
    )
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
        schema="operation",
    )
    op.create_index(
        "ix_outbox_next_time", "outbox", ["next_time"], unique=False, schema="operation", postgresql_where=sa.text("dead_time IS NULL")
    )
    op.create_table(
        "queues",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ask_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_queues")),
        schema="operation",
    )
    op.create_table(
        "turns",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("queue", "slot", "user_id", name=op.f("pk_turns")),
        schema="operation",
    )


def downgrade() -> None:
    op.drop_table("turns", schema="operation")
    op.drop_table("queues", schema="operation")
    op.drop_index("ix_outbox_next_time", table_name="outbox", schema="operation", postgresql_where=sa.text("dead_time IS NULL"))
    op.drop_table("outbox", schema="operation")
    op.drop_index(
        "uq_operations_claim_id", table_name="operations", schema="operation", postgresql_where=sa.text("lease_owner IS NOT NULL")
    )
    op.drop_index(
        "uq_operations_active_collection",
        table_name="operations",
        schema="operation",
        postgresql_where=sa.text("lease_owner IS NOT NULL OR state = 'PAUSED'"),
    )
    op.drop_index(
        "ix_operations_waiting",
        table_name="operations",
        schema="operation",
        postgresql_where=sa.text("lease_owner IS NULL AND state IN ('QUEUED', 'CANCELLING')"),
    )
    op.drop_index("ix_operations_user", table_name="operations", schema="operation")
    op.drop_index("ix_operations_held", table_name="operations", schema="operation", postgresql_where=sa.text("lease_owner IS NOT NULL"))
    op.drop_index("ix_operations_collection", table_name="operations", schema="operation")
    op.drop_table("operations", schema="operation")
    op.execute(sa.schema.DropSequence(sa.Sequence("fences", schema="operation")))
