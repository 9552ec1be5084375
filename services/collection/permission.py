"""Turns a principal's role on a collection into an answer: the row, NOT_FOUND or PERMISSION_DENIED.

The role itself is decided in SQL (``store.roles``), by the query that reads the row.
"""

from collections.abc import Sequence

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from libs.db.tables import AnyRow
from libs.rpc.call import Principal
from libs.rpc.errors import Failure, not_found
from semantik.auth.v1.user_pb2 import User
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection.store import collections, documents, sources
from services.collection.store.roles import Subject, includes
from services.collection.tables import Role


def subject(principal: Principal) -> Subject:
    """Return the principal as the parameters of statements that decide its role."""
    return {
        "principal_user": principal.user_id,
        "principal_api_key": principal.api_key_id or None,
        "principal_is_restricted": principal.restricted,
        "principal_is_member": principal.role != User.ROLE_GUEST,
    }


async def require_collection(session: AsyncSession | AsyncConnection, principal: Principal, collection_id: str, role: Role) -> AnyRow:
    """Return a collection, with its active generation, on which the principal has ``role``.

    Raises NOT_FOUND for what it may not read, exactly as for an id that never existed, and PERMISSION_DENIED for what it
    may read but not use like this.
    """
    return _allowed(await collections.with_role(session, subject(principal), collection_id), role, "collection", collection_id)


async def require_collections(
    session: AsyncSession | AsyncConnection, principal: Principal, collection_ids: Sequence[str], role: Role
) -> list[AnyRow]:
    """Return collections in the order of their ids, all or none; raises as ``require_collection``."""
    rows = await collections.many_with_roles(session, subject(principal), collection_ids)
    return [_allowed(rows.get(collection_id), role, "collection", collection_id) for collection_id in collection_ids]


async def require_generations(
    session: AsyncSession | AsyncConnection, principal: Principal, collection_ids: Sequence[str], role: Role, generation: int
) -> list[AnyRow]:
    """Do as ``require_collections`` does, with one generation in place of the active ones; NOT_FOUND where one has no such generation."""
    await require_collections(session, principal, collection_ids, role)
    rows = await collections.of_generation(session, subject(principal), collection_ids, generation)
    return [_allowed(rows.get(collection_id), role, "generation", str(generation)) for collection_id in collection_ids]


async def lock_collection(session: AsyncSession, principal: Principal, collection_id: str, role: Role) -> AnyRow:
    """Do as ``require_collection`` does and lock the collection: its documents and sources change in this transaction alone."""
    await require_collection(session, principal, collection_id, role)
    await collections.lock(session, collection_id)
    return await require_collection(session, principal, collection_id, role)


async def require_source(session: AsyncSession, principal: Principal, source_id: str, role: Role) -> AnyRow:
    """Return a source of a collection on which the principal has ``role``; NOT_FOUND as for an unknown id."""
    return _allowed(await sources.with_role(session, subject(principal), source_id), role, "source", source_id)


async def lock_source(session: AsyncSession, principal: Principal, source_id: str, role: Role) -> AnyRow:
    """Do as ``require_source`` does, also for a source whose documents are being removed, and lock its collection."""
    row = _allowed(await sources.any_with_role(session, subject(principal), source_id), role, "source", source_id)
    await collections.lock(session, row.collection_id)
    return _allowed(await sources.any_with_role(session, subject(principal), source_id), role, "source", source_id)


async def require_document(session: AsyncSession | AsyncConnection, principal: Principal, document_id: str, role: Role) -> AnyRow:
    """Return a document of a collection on which the principal has ``role``; NOT_FOUND as for an unknown id."""
    return _allowed(await documents.with_role(session, subject(principal), document_id), role, "document", document_id)


async def lock_document(session: AsyncSession, principal: Principal, document_id: str, role: Role) -> AnyRow:
    """Do as ``require_document`` does and lock the document's collection."""
    row = await require_document(session, principal, document_id, role)
    await collections.lock(session, row.collection_id)
    return await require_document(session, principal, document_id, role)


def _allowed(row: AnyRow | None, role: Role, noun: str, identifier: str) -> AnyRow:
    if row is None or row.role is None:
        raise not_found(noun, identifier)
    if not includes(row.role, role):
        message = f"this needs the role {role} on the collection"
        raise Failure(StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_COLLECTION_ROLE_REQUIRED, message, {"role": role})
    return row
