"""Note which indexes do not show what was noted on documents."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("documents", sa.Column("metadata_version", sa.BigInteger(), server_default="0", nullable=False), schema="collection")
    op.add_column(
        "document_indexes", sa.Column("metadata_is_stale", sa.Boolean(), server_default=sa.false(), nullable=False), schema="collection"
    )
    op.create_index(
        "ix_document_indexes_metadata",
        "document_indexes",
        ["collection_id", "generation", "document_id"],
        schema="collection",
        postgresql_where=sa.text("metadata_is_stale"),
    )


def downgrade() -> None:
    op.drop_index("ix_document_indexes_metadata", "document_indexes", schema="collection")
    op.drop_column("document_indexes", "metadata_is_stale", schema="collection")
    op.drop_column("documents", "metadata_version", schema="collection")
