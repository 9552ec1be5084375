"""The rows of the schema ``operation``."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Index, Sequence, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from libs.db.tables import Timestamped, metadata, one_of
from libs.outbox.table import OutboxRow


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
    """What the worker that holds the operation is to do."""

    RUN = "RUN"
    YIELD = "YIELD"
    PAUSE = "PAUSE"
    CANCEL = "CANCEL"


class Slot(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"


TERMINAL = (State.SUCCEEDED, State.FAILED, State.CANCELLED)
WAITING = (State.QUEUED, State.CANCELLING)
"""The states in which an operation without a lease can be claimed."""
NOT_CANCELLABLE = (Kind.DELETE, Kind.PURGE, Kind.REMOVE_SOURCE)
SHORT_KINDS = (Kind.APPEND, Kind.PURGE, Kind.DELETE)
_WAITING_SQL = "lease_owner IS NULL AND state IN ('QUEUED', 'CANCELLING')"
HOLDS_COLLECTION_SQL = "lease_owner IS NOT NULL OR state = 'PAUSED'"


class Operation(Base):
    __tablename__ = "operations"
    __table_args__ = (
        one_of("kind", Kind),
        one_of("state", State),
        one_of("desired", Desired),
        one_of("slot", Slot),
        # One operation at a time holds a collection: one that a worker has, or a paused one.
        Index("uq_operations_active_collection", "collection_id", unique=True, postgresql_where=text(HOLDS_COLLECTION_SQL)),
        Index("uq_operations_claim_id", "claim_id", unique=True, postgresql_where=text("lease_owner IS NOT NULL")),
        # What runs, a row a slot: for fairness and the sweep. It leaves out the lease's end, so that renewing touches no index.
        Index("ix_operations_held", "queue", "slot", "user_id", postgresql_where=text("lease_owner IS NOT NULL")),
        Index("ix_operations_waiting", "queue", "collection_id", postgresql_where=text(_WAITING_SQL)),
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
    settle_state: Mapped[str | None]  # the state to end in, once a claim has settled
    is_settling: Mapped[bool] = mapped_column(default=False)  # whether the claim is for settling only
    settles: Mapped[int] = mapped_column(default=0)  # claims that were to settle and failed
    queue: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    config: Mapped[dict[str, Any]] = mapped_column(JSONB)
    request_hash: Mapped[str]
    retry_of: Mapped[str | None]
    attempt: Mapped[int] = mapped_column(default=0)
    fault: Mapped[dict[str, Any] | None] = mapped_column(JSONB)  # what ended the last attempt
    queue_time: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())  # when it last began to wait
    not_before: Mapped[datetime | None]  # a faulted operation waits until then
    is_short: Mapped[bool] = mapped_column(default=False)  # of a short kind, and its time in a short slot not used up
    slot: Mapped[str | None]  # the slot of the claim
    claim_id: Mapped[str | None]
    claim_time: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    claim_documents: Mapped[int] = mapped_column(BigInteger, default=0)  # documents committed when the claim was made
    wait_reason: Mapped[str] = mapped_column(default="")
    waits_for_operation_id: Mapped[str | None]
    operations_ahead: Mapped[int] = mapped_column(default=0)
    progress: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(BigInteger, default=1)
    start_time: Mapped[datetime | None]
    finish_time: Mapped[datetime | None]

    @property
    def is_terminal(self) -> bool:
        return self.state in TERMINAL


class Turn(Base):
    """When a user last had a slot of a kind: the end of the claim, or its beginning while it lasts."""

    __tablename__ = "turns"

    queue: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[datetime]


class Queue(Base):
    """When a worker last asked for work of a queue."""

    __tablename__ = "queues"

    name: Mapped[str] = mapped_column(primary_key=True)
    ask_time: Mapped[datetime]


class Outbox(OutboxRow, Base):
    """What collection must be told."""
