"""AuthService: registration, sign-in and sign-out."""

from google.api import httpbody_pb2

from libs.db.engine import Sessions
from libs.rpc.boundary import Context
from semantik.auth.v1 import auth_service_pb2 as messages
from semantik.auth.v1 import auth_service_pb2_grpc
from services.auth import audit, metrics, refusals
from services.auth.families import Families
from services.auth.keys import SigningKeys
from services.auth.passwords import Passwords
from services.auth.servicer.convert import user_message
from services.auth.settings import Settings
from services.auth.store import attempts, sessions, users
from services.auth.tables import User
from services.auth.tokens import Tokens


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    def __init__(
        self, settings: Settings, database: Sessions, keys: SigningKeys, tokens: Tokens, passwords: Passwords, families: Families
    ) -> None:
        self._settings = settings
        self._sessions = database
        self._keys = keys
        self._tokens = tokens
        self._passwords = passwords
        self._families = families

    async def Register(self, request: messages.RegisterRequest, context: Context) -> messages.RegisterResponse:
        if not self._settings.registration_open:
            raise refusals.registration_closed()
        user = User(
            username=request.username.casefold(),
            email=request.email.casefold(),
            full_name=request.full_name,
            password_hash=await self._passwords.hash(request.password),
            role=self._settings.default_role,
        )
        async with self._sessions.begin() as session:
            taken_field = await users.add(session, user)
            if taken_field:
                raise refusals.user_exists(taken_field)
            tokens = await self._families.start(session, user)
            await sessions.audit(session, audit.entry(user.id, "register", "ok"))
        return messages.RegisterResponse(user=user_message(user), tokens=tokens)

    async def Login(self, request: messages.LoginRequest, context: Context) -> messages.LoginResponse:
        name = request.username.casefold()
        async with self._sessions.begin() as session:
            known = await users.by_login(session, name)
            attempt = audit.entry(known.id if known else self._tokens.pseudonym(name), "login", "refused")
            wait_seconds = await attempts.reserve(session, attempt)
        if wait_seconds is not None:
            metrics.SIGN_INS.labels("limited").inc()
            raise refusals.too_many_attempts(wait_seconds)
        matches = await self._passwords.matches(known.password_hash if known else None, request.password)
        async with self._sessions.begin() as session:
            user = await users.by_id(session, known.id) if known and matches else None
            if user and user.is_active:
                await users.signed_in(session, user)
                tokens = await self._families.start(session, user)
                await attempts.succeeded(session, attempt)
                metrics.SIGN_INS.labels("ok").inc()
                return messages.LoginResponse(user=user_message(user), tokens=tokens)
        metrics.SIGN_INS.labels("refused").inc()
        raise refusals.credentials_wrong()

    async def RefreshToken(self, request: messages.RefreshTokenRequest, context: Context) -> messages.RefreshTokenResponse:
        async with self._sessions.begin() as session:
            tokens = await self._families.refresh(session, request.refresh_token)
        # The end of a reused family is committed before the refusal is raised.
        if tokens is None:
            raise refusals.refresh_token_invalid()
        return messages.RefreshTokenResponse(tokens=tokens)

    async def Logout(self, request: messages.LogoutRequest, context: Context) -> messages.LogoutResponse:
        async with self._sessions.begin() as session:
            await self._families.end_presented(session, request.refresh_token)
        return messages.LogoutResponse()

    async def GetJwks(self, request: messages.GetJwksRequest, context: Context) -> httpbody_pb2.HttpBody:
        return httpbody_pb2.HttpBody(content_type="application/json", data=self._keys.jwks.encode())
