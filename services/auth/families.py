"""Sessions: each is the family of refresh tokens that follow from one sign-in."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.tables import new_id, now
from libs.rpc import call
from libs.rpc.identity import Verifier
from libs.rpc.identity.revocations import Revocation
from libs.rpc.timestamps import timestamp
from semantik.auth.v1 import session_pb2
from services.auth import audit, metrics
from services.auth.settings import Settings
from services.auth.store import sessions, users
from services.auth.tables import RefreshToken, User
from services.auth.tokens import Tokens, token_hash


class Families:
    """Starts, continues and ends sessions; the caller opens and commits the transactions.

    A family is locked while one of its tokens is exchanged or all of them are revoked, so that no successor is inserted
    beside the end of its session.
    """

    def __init__(self, settings: Settings, tokens: Tokens, verifier: Verifier) -> None:
        self._lifetime = timedelta(seconds=settings.refresh_token_lifetime_seconds)
        self._grace = timedelta(seconds=settings.refresh_grace_seconds)
        self._tokens = tokens
        self._verifier = verifier

    async def start(self, session: AsyncSession, user: User) -> session_pb2.Tokens:
        """Begin a session of ``user`` and return its first tokens."""
        refresh, moment = self._tokens.first_refresh(), now()
        row = RefreshToken(
            token_hash=token_hash(refresh),
            family_id=new_id(),
            user_id=user.id,
            start_time=moment,
            expire_time=moment + self._lifetime,
            user_agent=call.current().user_agent,
            address=call.current().client_address,
        )
        await sessions.add(session, row)
        return self._issue(user, row, refresh)

    async def refresh(self, session: AsyncSession, presented: str) -> session_pb2.Tokens | None:
        """Exchange a refresh token for its successors; None if it does not hold, and its session has ended if it was reused."""
        row = await sessions.lock_presented(session, token_hash(presented))
        moment = now()
        user = await users.by_id(session, row.user_id) if row else None
        if row is None or row.revoke_time is not None or row.expire_time <= moment or user is None or not user.is_active:
            metrics.REFRESHES.labels("refused").inc()
            return None
        successor = self._tokens.next_refresh(presented)
        if row.use_time is None:
            row.use_time = moment
            next_row = RefreshToken(
                token_hash=token_hash(successor),
                parent_hash=row.token_hash,
                family_id=row.family_id,
                user_id=user.id,
                start_time=row.start_time,
                expire_time=moment + self._lifetime,
                user_agent=call.current().user_agent,
                address=call.current().client_address,
            )
            await sessions.add(session, next_row)
            metrics.REFRESHES.labels("ok").inc()
            return self._issue(user, next_row, successor)
        next_used = await sessions.find(session, token_hash(successor))
        if next_used is not None and next_used.use_time is None and moment - row.use_time <= self._grace:
            metrics.REFRESHES.labels("repeated").inc()
            return self._issue(user, next_used, successor)
        await self.end(session, row.family_id, "refresh token reused")
        await sessions.audit(session, audit.entry(user.id, "refresh", "reused", family_id=row.family_id))
        metrics.REFRESHES.labels("reused").inc()
        return None

    async def end_presented(self, session: AsyncSession, presented: str) -> None:
        """End the session of a refresh token; an unknown one is ignored."""
        row = await sessions.lock_presented(session, token_hash(presented))
        if row is not None:
            await self.end(session, row.family_id, "logout")
            await sessions.audit(session, audit.entry(row.user_id, "logout", "ok"))

    async def end(self, session: AsyncSession, family_id: str, reason: str) -> None:
        """End a session: its refresh tokens, and its access tokens here at once and elsewhere with the next reading."""
        revocation = await sessions.revoke(session, family_id, reason)
        if revocation is not None:
            self._verifier.revoke(Revocation(family_id, revocation.not_before.timestamp()))
            metrics.REVOCATIONS.labels(reason).inc()

    def _issue(self, user: User, row: RefreshToken, refresh: str) -> session_pb2.Tokens:
        access = self._tokens.access(user.id, user.role, row.family_id)
        return session_pb2.Tokens(
            access_token=access.value,
            access_expire_time=timestamp(access.expire_time),
            refresh_token=refresh,
            refresh_expire_time=timestamp(row.expire_time),
        )
