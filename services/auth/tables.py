"""The rows of the schema ``auth``."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from libs.db.tables import Timestamped, metadata, new_id, one_of


class Base(Timestamped):
    __abstract__ = True
    metadata = metadata("auth")


class Role(StrEnum):
    GUEST = "GUEST"
    USER = "USER"
    POWER_USER = "POWER_USER"
    ADMIN = "ADMIN"


class User(Base):
    __tablename__ = "users"
    __table_args__ = (one_of("role", Role),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    username: Mapped[str] = mapped_column(unique=True)  # case-folded
    email: Mapped[str] = mapped_column(unique=True)  # case-folded
    full_name: Mapped[str]
    password_hash: Mapped[str]
    role: Mapped[str]
    is_active: Mapped[bool] = mapped_column(default=True)
    preferences: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)
    last_login_time: Mapped[datetime | None]


class RefreshToken(Base):
    """A refresh token; its family is the session, whose id is the access tokens' ``sid``."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "family_id"), Index(None, "user_id", "create_time"))

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    parent_hash: Mapped[str | None]
    family_id: Mapped[str]
    user_id: Mapped[str] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    start_time: Mapped[datetime]  # when the session began
    expire_time: Mapped[datetime] = mapped_column(index=True)
    use_time: Mapped[datetime | None]
    revoke_time: Mapped[datetime | None]
    user_agent: Mapped[str]
    address: Mapped[str]


class SignInCode(Base):
    """A code that signs its session's user in once more; a session has at most one."""

    __tablename__ = "sign_in_codes"

    session_id: Mapped[str] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    expire_time: Mapped[datetime] = mapped_column(index=True)


class Revocation(Base):
    __tablename__ = "revocations"
    __table_args__ = (Index(None, "not_before", "seq"),)

    seq: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[str | None]
    session_id: Mapped[str | None]
    not_before: Mapped[datetime]
    reason: Mapped[str]


class AuditEntry(Base):
    __tablename__ = "auth_audit_log"
    __table_args__ = (Index(None, "actor", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True, default=new_id)
    actor: Mapped[str]
    action: Mapped[str]
    outcome: Mapped[str]
    address: Mapped[str]
    user_agent: Mapped[str]
    correlation_id: Mapped[str]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict)


class Attempt(Base):
    """An attempt that counts against a limit: a sign-in until its password was right, or a registration."""

    __tablename__ = "attempts"
    __table_args__ = (Index(None, "bucket", "create_time"), Index(None, "create_time"))

    seq: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    bucket: Mapped[str]
