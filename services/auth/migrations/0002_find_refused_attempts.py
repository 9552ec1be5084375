"""Find refused attempts to sign in by account and by address."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

_REFUSED = sa.text("action = 'login' AND outcome = 'refused'")


def upgrade() -> None:
    for column in ("actor", "address"):
        name = f"ix_auth_audit_log_refused_{column}"
        op.create_index(name, "auth_audit_log", [column, "create_time"], schema="auth", postgresql_where=_REFUSED)


def downgrade() -> None:
    for column in ("actor", "address"):
        op.drop_index(f"ix_auth_audit_log_refused_{column}", table_name="auth_audit_log", schema="auth")
