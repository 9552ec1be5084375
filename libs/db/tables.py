"""Conventions every table follows."""

import os
import time
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

from sqlalchemy import CheckConstraint, DateTime, MetaData, Row, Text, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

AnyRow: TypeAlias = Row[*tuple[Any, ...]]
"""A row of selected columns."""

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata(schema: str) -> MetaData:
    """Return the metadata of one service's schema."""
    return MetaData(schema=schema, naming_convention=_NAMING)


class Timestamped(DeclarativeBase):
    """A base whose rows carry the times of their creation and last change, by the database's clock."""

    __abstract__ = True
    # Values that the database sets are read with the flush, without another query.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012 - SQLAlchemy's own idiom
    type_annotation_map = {str: Text, datetime: DateTime(timezone=True)}  # noqa: RUF012 - SQLAlchemy's own idiom

    create_time: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    update_time: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), onupdate=func.clock_timestamp())


def one_of(column: str, names: type[StrEnum]) -> CheckConstraint:
    """Return the rule that ``column`` holds one of the enum's names."""
    listed = ", ".join(f"'{name.value}'" for name in names)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562): its order is the order of making, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def now() -> datetime:
    return datetime.now(UTC)
