"""A principal's role on a collection, as SQL: the one place that decides who may do what on collections."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import Boolean, ColumnElement, Text, and_, bindparam, case, false, func, or_, select

from services.collection.tables import Collection, CollectionState, Grant, Role

Subject: TypeAlias = Mapping[str, Any]
"""The principal as parameters of a statement that uses ``ROLE``; ``permission.subject`` makes it."""

_USER = bindparam("principal_user", type_=Text)
_API_KEY = bindparam("principal_api_key", type_=Text)
_IS_RESTRICTED = bindparam("principal_is_restricted", type_=Boolean)
_IS_MEMBER = bindparam("principal_is_member", type_=Boolean)
_RANKS = {Role.READ: 1, Role.WRITE: 2, Role.ADMIN: 3, Role.OWNER: 4}


def _granted(holder: ColumnElement[bool]) -> ColumnElement[int]:
    rank = case({role.value: rank for role, rank in _RANKS.items()}, value=Grant.role)
    grant = select(rank).where(Grant.collection_id == Collection.id, holder).correlate(Collection)
    return func.coalesce(grant.scalar_subquery(), 0)


_public_rank = case((Collection.is_public, _RANKS[Role.READ]), else_=0)
_user_rank = case((Collection.owner_id == _USER, _RANKS[Role.OWNER]), else_=func.greatest(_granted(Grant.user_id == _USER), _public_rank))
_rank = case((_IS_RESTRICTED, func.least(_user_rank, _granted(Grant.api_key_id == _API_KEY))), else_=_user_rank)

# The owner, then the user's grant, then READ for every member where the collection is public. A restricted API key has its own grant and
# never more than its user; the global role ADMIN opens nothing. It is built once: building it costs more than running it.
ROLE: ColumnElement[str | None] = case(
    (and_(_IS_MEMBER, Collection.state != CollectionState.DELETING), case({rank: role.value for role, rank in _RANKS.items()}, value=_rank))
)
"""The principal's role on the collection of the row, NULL for none: on one, on many, on all."""

_granted_ids = select(Grant.collection_id).where(or_(Grant.user_id == _USER, Grant.api_key_id == _API_KEY))
REACHABLE: ColumnElement[bool] = and_(
    or_(Collection.owner_id == _USER, Collection.is_public, Collection.id.in_(_granted_ids)), case((_IS_MEMBER, True), else_=false())
)
"""Every collection with a role, and perhaps more: what lets a list use the indexes. ``ROLE`` decides."""


def includes(held: str | None, needed: Role) -> bool:
    """Return whether the role ``held``, a value of ``ROLE``, allows what ``needed`` allows."""
    return held is not None and _RANKS[Role(held)] >= _RANKS[needed]
