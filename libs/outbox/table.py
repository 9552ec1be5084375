"""Rows that must reach another service, written in the transaction that makes them true."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, LargeBinary, delete, func, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

_clock = func.clock_timestamp()


class OutboxRow:
    """The columns of an outbox. A service adds them to a table of its own schema: ``class Outbox(OutboxRow, Base)``."""

    __tablename__ = "outbox"

    id: Mapped[str] = mapped_column(primary_key=True)
    topic: Mapped[str]
    """The name of the function that sends the row."""
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    create_time: Mapped[datetime] = mapped_column(server_default=_clock)
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    """Failures that were not transient."""
    next_time: Mapped[datetime] = mapped_column(server_default=_clock)
    last_error: Mapped[str] = mapped_column(default="", server_default="")
    dead_time: Mapped[datetime | None]
    """When the row was given up; a dead row stays for a person to look at."""

    @declared_attr.directive
    def __table_args__(cls) -> tuple[Any, ...]:  # noqa: N805 - SQLAlchemy's own idiom
        return (Index(f"ix_{cls.__tablename__}_next_time", "next_time", postgresql_where=text("dead_time IS NULL")),)


async def put(
    session: AsyncSession, table: type[OutboxRow], row_id: str, topic: str, payload: bytes, *, delay_seconds: float = 0.0
) -> None:
    """Insert a row in the caller's transaction unless its id is there; wake the sender after the commit.

    With ``delay_seconds`` the caller has time to send the row itself and to acknowledge it.
    """
    values = {"id": row_id, "topic": topic, "payload": payload, "next_time": _clock + timedelta(seconds=delay_seconds)}
    await session.execute(insert(table).values(**values).on_conflict_do_nothing())


async def acknowledge(session: AsyncSession, table: type[OutboxRow], row_id: str) -> None:
    """Delete a row that has arrived."""
    await session.execute(delete(table).where(table.id == row_id))
