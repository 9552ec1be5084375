"""Rows of auth as messages of its contract."""

from libs.db.tables import AnyRow
from libs.rpc.timestamps import timestamp
from semantik.auth.v1 import session_pb2, user_pb2
from services.auth.tables import RefreshToken, User


def user_message(user: User | AnyRow) -> user_pb2.User:
    """Return a user, read as a row or as columns."""
    return user_pb2.User(
        id=user.id,
        username=user.username,
        email=user.email,
        full_name=user.full_name,
        role=user_pb2.User.Role.Value(f"ROLE_{user.role}"),
        is_active=user.is_active,
        create_time=timestamp(user.create_time),
        update_time=timestamp(user.update_time),
        last_login_time=timestamp(user.last_login_time),
    )


def session_message(row: RefreshToken, current_session_id: str) -> session_pb2.Session:
    return session_pb2.Session(
        id=row.family_id,
        user_agent=row.user_agent,
        address=row.address,
        create_time=timestamp(row.start_time),
        last_used_time=timestamp(row.create_time),
        expire_time=timestamp(row.expire_time),
        is_current=row.family_id == current_session_id,
    )
