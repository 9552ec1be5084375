"""Records who did what, from where, in the transaction that did it."""

from sqlalchemy.ext.asyncio import AsyncSession

from libs.rpc import call
from services.collection.store import audit
from services.collection.tables import AuditEntry


async def record(session: AsyncSession, collection_id: str, action: str, **details: str | int | bool) -> None:
    """Write an entry for the current call and its principal."""
    current = call.current()
    entry = AuditEntry(
        collection_id=collection_id,
        actor=call.principal().user_id,
        action=action,
        details=details,
        address=current.client_address,
        user_agent=current.user_agent,
        correlation_id=current.correlation_id,
    )
    await audit.add(session, entry)
