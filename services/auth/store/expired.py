"""Deletes rows that no longer matter, a page at a time."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from services.auth.tables import Attempt, AuditEntry, RefreshToken, Revocation, SignInCode

PAGE = 1000
_TOKENS_KEPT = timedelta(days=1)
_REVOCATIONS_KEPT = timedelta(days=2)  # longer than an access token may live
_AUDIT_KEPT = timedelta(days=365)
_ATTEMPTS_KEPT = timedelta(hours=1)  # longer than they count


async def delete_tokens(session: AsyncSession) -> int:
    """Delete a page of refresh tokens that expired a day ago; returns how many."""
    return await _delete_page(session, RefreshToken.token_hash, RefreshToken.expire_time, _TOKENS_KEPT)


async def delete_revocations(session: AsyncSession) -> int:
    """Delete a page of revocations that are older than any access token; returns how many."""
    return await _delete_page(session, Revocation.seq, Revocation.not_before, _REVOCATIONS_KEPT)


async def delete_audit_entries(session: AsyncSession) -> int:
    """Delete a page of audit entries that are a year old; returns how many."""
    return await _delete_page(session, AuditEntry.id, AuditEntry.create_time, _AUDIT_KEPT)


async def delete_attempts(session: AsyncSession) -> int:
    """Delete a page of attempts that count no more; returns how many."""
    return await _delete_page(session, Attempt.seq, Attempt.create_time, _ATTEMPTS_KEPT)


async def delete_codes(session: AsyncSession) -> int:
    """Delete a page of sign-in codes that expired; returns how many."""
    return await _delete_page(session, SignInCode.session_id, SignInCode.expire_time, timedelta())


async def _delete_page(session: AsyncSession, key: InstrumentedAttribute[Any], time: InstrumentedAttribute[Any], kept: timedelta) -> int:
    # now() and not clock_timestamp(), which is volatile and keeps an index from being used.
    page = select(key).where(time < func.now() - kept).limit(PAGE).with_for_update(skip_locked=True)
    result = cast("CursorResult[Any]", await session.execute(delete(key.class_).where(key.in_(page))))
    return result.rowcount
