"""Entries of the audit log: who did what, from where, and how it ended."""

from libs.db.tables import new_id
from libs.rpc import call
from services.auth.tables import AuditEntry


def entry(actor: str, action: str, outcome: str, **details: str) -> AuditEntry:
    """Return an entry for the current call; ``actor`` is a user's id or a pseudonym."""
    current = call.current()
    return AuditEntry(
        id=new_id(),
        actor=actor,
        action=action,
        outcome=outcome,
        address=current.client_address,
        user_agent=current.user_agent,
        correlation_id=current.correlation_id,
        details=details,
    )
