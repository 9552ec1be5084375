"""The rows of the schema ``operation``."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Index, Sequence, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from libs.db.tables import Timestamped, metadata, one_of


class Base(Timestamped):
    __abstract__ = True
    metadata = metadata("operation")


fences = Sequence("fences", metadata=Base.metadata)


class Kind(StrEnum):
    INDEX = "INDEX"
    APPEND = "APPEND"
    SYNC = "SYNC"
    REINDEX = "REINDEX"
    ROLLBACK = "ROLLBACK"
    REMOVE_SOURCE = "REMOVE_SOURCE"
    RETRY = "RETRY"
    PURGE = "PURGE"
    RECONCILE = "RECONCILE"
    EVALUATE = "EVALUATE"
    DELETE = "DELETE"


class State(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Desired(StrEnum):
    RUN = "RUN"
    PAUSE = "PAUSE"
    CANCEL = "CANCEL"


TERMINAL = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
ACTIVE = (State.RUNNING, State.PAUSED, State.CANCELLING)
_ACTIVE_SQL = "state IN ('RUNNING', 'PAUSED', 'CANCELLING')"


class Operation(Base):
    __tablename__ = "operations"
    __table_args__ = (
        one_of("kind", Kind),
        one_of("state", State),
        one_of("desired", Desired),
        # The law that lets one worker at a time into a collection.
        Index("uq_operations_active_collection", "collection_id", unique=True, postgresql_where=text(_ACTIVE_SQL)),
        Index("ix_operations_queue", "queue", "priority", "create_time", postgresql_where=text("state IN ('QUEUED', 'CANCELLING')")),
        Index("ix_operations_lease", "lease_until", postgresql_where=text("lease_owner IS NOT NULL")),
        Index("ix_operations_collection", "collection_id", "create_time", "id"),
        Index("ix_operations_user", "user_id", "create_time", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    collection_id: Mapped[str | None]
    source_id: Mapped[str | None]
    user_id: Mapped[str]
    principal: Mapped[dict[str, Any]] = mapped_column(JSONB)
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(default=State.QUEUED)
    desired: Mapped[str] = mapped_column(default=Desired.RUN)
    settle_state: Mapped[str | None]  # the end that a last claim is to tidy up for
    queue: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_hash: Mapped[str]
    retry_of: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    claim_documents: Mapped[int] = mapped_column(BigInteger, default=0)  # documents done when the claim was made
    wait_reason: Mapped[str] = mapped_column(default="")
    progress: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    start_time: Mapped[datetime | None]
    finish_time: Mapped[datetime | None]

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL
