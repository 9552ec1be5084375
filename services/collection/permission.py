"""The one function that decides who may do what on a collection."""

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.rpc.call import Principal
from libs.rpc.errors import Failure, not_found
from semantik.auth.v1.user_pb2 import User
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.collection.store import collections, documents, sources
from services.collection.tables import Collection, CollectionState, Document, Role, Source

_ORDER = {Role.READ: 1, Role.WRITE: 2, Role.ADMIN: 3, Role.OWNER: 4}


def decide(principal: Principal, collection: Collection, granted: Role | None, key_granted: Role | None) -> Role | None:
    """Return the principal's role on a collection, None for no access at all.

    ``granted`` is the user's grant, ``key_granted`` the API key's. The global role ADMIN opens nothing; a restricted
    key reaches only what was granted to itself, and never more than its user.
    """
    if collection.state == CollectionState.DELETING or principal.role == User.ROLE_GUEST:
        return None
    if collection.owner_id == principal.user_id:
        role: Role | None = Role.OWNER
    else:
        role = granted or (Role.READ if collection.is_public else None)
    if principal.restricted:
        return min((role, key_granted), key=lambda each: _ORDER[each]) if role and key_granted else None
    return role


async def role_on(session: AsyncSession, principal: Principal, collection: Collection) -> Role | None:
    granted = await collections.granted(session, collection.id, user_id=principal.user_id)
    key_granted = await collections.granted(session, collection.id, api_key_id=principal.api_key_id) if principal.api_key_id else None
    return decide(principal, collection, granted, key_granted)


async def require(session: AsyncSession, principal: Principal, collection_id: str, role: Role) -> tuple[Collection, Role]:
    """Return the collection and the principal's role on it.

    Raises NOT_FOUND for what it may not read, exactly as for an id that never existed, and PERMISSION_DENIED for what it
    may read but not use like this.
    """
    collection = await collections.get(session, collection_id)
    held = await role_on(session, principal, collection) if collection else None
    if collection is None or held is None:
        raise not_found("collection", collection_id)
    if _ORDER[held] < _ORDER[role]:
        raise Failure(
            StatusCode.PERMISSION_DENIED,
            ErrorReason.ERROR_REASON_COLLECTION_ROLE_REQUIRED,
            f"this needs the role {role} on the collection",
            {"role": role},
        )
    return collection, held


async def require_source(session: AsyncSession, principal: Principal, source_id: str, role: Role) -> Source:
    """Return a source of a collection on which the principal has ``role``; NOT_FOUND as for an unknown id."""
    source = await sources.get(session, source_id)
    collection = await collections.get(session, source.collection_id) if source else None
    if source is None or collection is None or await role_on(session, principal, collection) is None:
        raise not_found("source", source_id)
    await require(session, principal, collection.id, role)
    return source


async def require_document(session: AsyncSession, principal: Principal, document_id: str, role: Role) -> Document:
    """Return a document of a collection on which the principal has ``role``; NOT_FOUND as for an unknown id."""
    document = await documents.get(session, document_id)
    collection = await collections.get(session, document.collection_id) if document else None
    if document is None or collection is None or await role_on(session, principal, collection) is None:
        raise not_found("document", document_id)
    await require(session, principal, collection.id, role)
    return document
