"""Create the tables of search."""

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
        "evaluations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("judged_set_id", sa.Text(), nullable=False),
        sa.Column("judged_set_name", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("start_id", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("search", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cutoffs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("query_count", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("asked_generation", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("measurements", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("median_seconds", sa.Double(), nullable=True),
        sa.Column("finish_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluations")),
        schema="search",
    )
    op.create_index("ix_evaluations_collection", "evaluations", ["collection_id"], unique=False, schema="search")
    op.create_index(
        "ix_evaluations_listed", "evaluations", ["user_id", "collection_id", "create_time", "id"], unique=False, schema="search"
    )
    op.create_table(
        "judged_sets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("collection_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query_count", sa.Integer(), nullable=False),
        sa.Column("judgement_count", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judged_sets")),
        sa.UniqueConstraint("user_id", "collection_id", "name", name=op.f("uq_judged_sets_user_id_collection_id_name")),
        schema="search",
    )
    op.create_index("ix_judged_sets_collection", "judged_sets", ["collection_id"], unique=False, schema="search")
    op.create_index(
        "ix_judged_sets_listed", "judged_sets", ["user_id", "collection_id", "create_time", "id"], unique=False, schema="search"
    )
    op.create_table(
        "evaluated_queries",
        sa.Column("evaluation_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("judgements", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("found", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("document_count", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["search.evaluations.id"], name=op.f("fk_evaluated_queries_evaluation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "id", name=op.f("pk_evaluated_queries")),
        schema="search",
    )
    op.create_table(
        "judged_queries",
        sa.Column("judged_set_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("judgements", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("judgement_count", sa.Integer(), nullable=False),
        sa.Column("relevant_count", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["judged_set_id"], ["search.judged_sets.id"], name=op.f("fk_judged_queries_judged_set_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("judged_set_id", "id", name=op.f("pk_judged_queries")),
        schema="search",
    )


def downgrade() -> None:
    op.drop_table("judged_queries", schema="search")
    op.drop_table("evaluated_queries", schema="search")
    op.drop_index("ix_judged_sets_listed", table_name="judged_sets", schema="search")
    op.drop_index("ix_judged_sets_collection", table_name="judged_sets", schema="search")
    op.drop_table("judged_sets", schema="search")
    op.drop_index("ix_evaluations_listed", table_name="evaluations", schema="search")
    op.drop_index("ix_evaluations_collection", table_name="evaluations", schema="search")
    op.drop_table("evaluations", schema="search")
