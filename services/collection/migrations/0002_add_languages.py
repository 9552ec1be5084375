"""Add the languages of collections and of their generations."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column("collections", sa.Column("language", sa.Text(), server_default="", nullable=False), schema="collection")
    op.add_column("index_generations", sa.Column("language", sa.Text(), server_default="en", nullable=False), schema="collection")


def downgrade() -> None:
    op.drop_column("index_generations", "language", schema="collection")
    op.drop_column("collections", "language", schema="collection")
