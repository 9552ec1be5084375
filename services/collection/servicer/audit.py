"""Writes who did what, from where, in the transaction that did it."""

from sqlalchemy.ext.asyncio import AsyncSession

from libs.rpc import call
from services.collection.store import starts
from services.collection.tables import AuditEntry


async def record(session: AsyncSession, collection_id: str, action: str, **details: str | int | bool) -> None:
    request = call.current()
    entry = AuditEntry(
        collection_id=collection_id,
        actor=call.principal().user_id,
        action=action,
        details=details,
        address=request.client_address,
        user_agent=request.user_agent,
        correlation_id=request.correlation_id,
    )
    await starts.audit(session, entry)
