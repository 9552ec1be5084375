"""Queries on the audit log."""

from sqlalchemy.ext.asyncio import AsyncSession

from services.collection.tables import AuditEntry


async def add(session: AsyncSession, entry: AuditEntry) -> None:
    session.add(entry)
    await session.flush()
