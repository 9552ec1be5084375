"""The rows of the schema ``search``: judged queries, what evaluations found for them, and what users asked lately."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from libs.db.tables import Timestamped, metadata


class Base(Timestamped):
    __abstract__ = True
    metadata = metadata("search")


class JudgedSet(Base):
    __tablename__ = "judged_sets"
    __table_args__ = (
        UniqueConstraint("user_id", "collection_id", "name"),
        Index("ix_judged_sets_listed", "user_id", "collection_id", "create_time", "id"),
        Index("ix_judged_sets_collection", "collection_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    collection_id: Mapped[str]
    name: Mapped[str]
    query_count: Mapped[int] = mapped_column(default=0)
    judgement_count: Mapped[int] = mapped_column(default=0)


class JudgedQuery(Base):
    __tablename__ = "judged_queries"

    judged_set_id: Mapped[str] = mapped_column(ForeignKey(JudgedSet.id, ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    judgements: Mapped[dict[str, int]] = mapped_column(JSONB)  # grades by document
    judgement_count: Mapped[int]
    relevant_count: Mapped[int]
    size_bytes: Mapped[int]  # of the text and the documents' names


class Evaluation(Base):
    __tablename__ = "evaluations"
    __table_args__ = (
        Index("ix_evaluations_listed", "user_id", "collection_id", "create_time", "id"),
        Index("ix_evaluations_collection", "collection_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str]
    collection_id: Mapped[str]
    name: Mapped[str]
    judged_set_id: Mapped[str]
    judged_set_name: Mapped[str]
    operation_id: Mapped[str]  # the latest
    start_id: Mapped[str]  # the request id by which the first was started
    request_hash: Mapped[str]
    search: Mapped[dict[str, Any]] = mapped_column(JSONB)
    cutoffs: Mapped[list[int]] = mapped_column(JSONB)
    query_count: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    asked_generation: Mapped[int] = mapped_column(BigInteger)  # 0 is the active one
    generation: Mapped[int | None] = mapped_column(BigInteger)  # what answered the first query, and must answer all
    model: Mapped[str] = mapped_column(default="")
    precision: Mapped[str] = mapped_column(default="")
    measurements: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB)
    median_seconds: Mapped[float | None]
    finish_time: Mapped[datetime | None]


class EvaluatedQuery(Base):
    """A query as it was judged when the evaluation was started; ``found`` is empty until it was answered."""

    __tablename__ = "evaluated_queries"

    evaluation_id: Mapped[str] = mapped_column(ForeignKey(Evaluation.id, ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str]
    judgements: Mapped[dict[str, int]] = mapped_column(JSONB)
    found: Mapped[list[list[Any]] | None] = mapped_column(JSONB)  # rank, document and grade of each judged document
    document_count: Mapped[int | None]
    seconds: Mapped[float | None]


class RecentQuery(Base):
    __tablename__ = "recent_queries"

    user_id: Mapped[str] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]  # how many times it was asked
    last_time: Mapped[datetime]
