"""AuthService: people come in and go out."""

from datetime import timedelta

from google.api import httpbody_pb2
from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.db.tables import new_id, now
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure
from libs.rpc.identity import Verifier
from libs.rpc.identity.revocations import Revocation
from libs.rpc.timestamps import timestamp
from semantik.auth.v1 import auth_service_pb2 as messages
from semantik.auth.v1 import auth_service_pb2_grpc, session_pb2
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.auth import tables
from services.auth.keys import SigningKeys
from services.auth.passwords import Passwords
from services.auth.servicer.shapes import user_message
from services.auth.settings import Settings
from services.auth.store import attempts, sessions, users
from services.auth.tables import AuditEntry, User
from services.auth.tokens import Tokens, token_hash


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    def __init__(
        self, settings: Settings, database: Sessions, keys: SigningKeys, tokens: Tokens, passwords: Passwords, verifier: Verifier
    ) -> None:
        self._settings = settings
        self._sessions = database
        self._keys = keys
        self._tokens = tokens
        self._passwords = passwords
        self._verifier = verifier

    async def Register(self, request: messages.RegisterRequest, context: Context) -> messages.RegisterResponse:
        if not self._settings.registration_open:
            raise Failure(
                StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_REGISTRATION_CLOSED, "this installation takes no registrations"
            )
        user = User(
            username=request.username.casefold(),
            email=request.email.casefold(),
            full_name=request.full_name,
            password_hash=await self._passwords.hash(request.password),
            role=self._settings.default_role,
        )
        async with self._sessions.begin() as session:
            taken = await users.add(session, user)
            if taken:
                raise Failure(
                    StatusCode.ALREADY_EXISTS,
                    ErrorReason.ERROR_REASON_USER_EXISTS,
                    f"another user has this {taken}",
                    {"field": taken},
                    field=taken,
                )
            issued = await self._start_session(session, user)
            await _audit(session, user.id, "register", "ok")
        return messages.RegisterResponse(user=user_message(user), tokens=issued)

    async def Login(self, request: messages.LoginRequest, context: Context) -> messages.LoginResponse:
        name = request.username.casefold()
        async with self._sessions.begin() as session:
            found = await users.by_login(session, name)
            attempt = _entry(found.id if found else self._tokens.pseudonym(name), "login", "refused")
            wait = await attempts.reserve(session, attempt)
        if wait is not None:
            raise Failure(
                StatusCode.RESOURCE_EXHAUSTED,
                ErrorReason.ERROR_REASON_TOO_MANY_ATTEMPTS,
                "too many wrong passwords; try again later",
                retry_after=wait,
            )
        fits = await self._passwords.matches(found.password_hash if found else None, request.password)
        async with self._sessions.begin() as session:
            user = await users.by_id(session, found.id) if found and fits else None
            if user and user.is_active:
                await users.signed_in(session, user)
                issued = await self._start_session(session, user)
                await attempts.succeeded(session, attempt)
                return messages.LoginResponse(user=user_message(user), tokens=issued)
        raise Failure(
            StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_CREDENTIALS_WRONG, "username and password do not belong together"
        )

    async def RefreshToken(self, request: messages.RefreshTokenRequest, context: Context) -> messages.RefreshTokenResponse:
        async with self._sessions.begin() as session:
            issued = await self._refresh(session, request.refresh_token)
        # The family's end is committed before the refusal is raised.
        if issued is None:
            raise Failure(
                StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_REFRESH_TOKEN_INVALID, "the refresh token is not valid; sign in again"
            )
        return messages.RefreshTokenResponse(tokens=issued)

    async def _refresh(self, session: AsyncSession, presented: str) -> session_pb2.Tokens | None:
        row = await sessions.presented(session, token_hash(presented))
        moment = now()
        if row is None or row.revoke_time is not None or row.expire_time <= moment:
            return None
        user = await users.by_id(session, row.user_id)
        if user is None or not user.is_active:
            return None
        successor = self._tokens.next_refresh(presented)
        if row.use_time is None:
            row.use_time = moment
            next_row = tables.RefreshToken(
                token_hash=token_hash(successor),
                parent_hash=row.token_hash,
                family_id=row.family_id,
                user_id=user.id,
                start_time=row.start_time,
                expire_time=moment + timedelta(seconds=self._settings.refresh_token_lifetime_seconds),
                user_agent=call.current().user_agent,
                address=call.current().client_address,
            )
            await sessions.add(session, next_row)
            return self._issued(user, next_row, successor)
        child = await sessions.find(session, token_hash(successor))
        within_grace = moment - row.use_time <= timedelta(seconds=self._settings.refresh_grace_seconds)
        if child is not None and child.use_time is None and within_grace:
            return self._issued(user, child, successor)
        await self._end(session, row.family_id, "refresh token reused")
        await _audit(session, user.id, "refresh", "reused", family_id=row.family_id)
        return None

    async def Logout(self, request: messages.LogoutRequest, context: Context) -> messages.LogoutResponse:
        async with self._sessions.begin() as session:
            row = await sessions.presented(session, token_hash(request.refresh_token))
            if row is not None:
                await self._end(session, row.family_id, "logout")
                await _audit(session, row.user_id, "logout", "ok")
        return messages.LogoutResponse()

    async def GetJwks(self, request: messages.GetJwksRequest, context: Context) -> httpbody_pb2.HttpBody:
        return httpbody_pb2.HttpBody(content_type="application/json", data=self._keys.jwks.encode())

    async def _start_session(self, session: AsyncSession, user: User) -> session_pb2.Tokens:
        refresh, moment = self._tokens.first_refresh(), now()
        row = tables.RefreshToken(
            token_hash=token_hash(refresh),
            family_id=new_id(),
            user_id=user.id,
            start_time=moment,
            expire_time=moment + timedelta(seconds=self._settings.refresh_token_lifetime_seconds),
            user_agent=call.current().user_agent,
            address=call.current().client_address,
        )
        await sessions.add(session, row)
        return self._issued(user, row, refresh)

    def _issued(self, user: User, row: tables.RefreshToken, refresh: str) -> session_pb2.Tokens:
        access = self._tokens.access(user.id, user.role, row.family_id)
        return session_pb2.Tokens(
            access_token=access.value,
            access_expire_time=timestamp(access.expire_time),
            refresh_token=refresh,
            refresh_expire_time=timestamp(row.expire_time),
        )

    async def _end(self, session: AsyncSession, family_id: str, reason: str) -> None:
        revocation = await sessions.revoke(session, family_id, reason)
        if revocation is not None:
            self._verifier.revoke(Revocation(family_id, revocation.not_before.timestamp()))


async def _audit(session: AsyncSession, actor: str, action: str, outcome: str, **details: str) -> None:
    await sessions.audit(session, _entry(actor, action, outcome, **details))


def _entry(actor: str, action: str, outcome: str, **details: str) -> AuditEntry:
    request = call.current()
    return AuditEntry(
        id=new_id(),
        actor=actor,
        action=action,
        outcome=outcome,
        address=request.client_address,
        user_agent=request.user_agent,
        correlation_id=request.correlation_id,
        details=details,
    )
