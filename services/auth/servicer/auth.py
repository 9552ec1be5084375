"""AuthService: registration, sign-in and sign-out."""

from dataclasses import dataclass

from google.api import httpbody_pb2
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import invalid
from semantik.auth.v1 import auth_service_pb2 as messages
from semantik.auth.v1 import auth_service_pb2_grpc
from services.auth import audit, limits, metrics, refusals
from services.auth.families import Families
from services.auth.keys import SigningKeys
from services.auth.passwords import Passwords
from services.auth.servicer.convert import user_message
from services.auth.servicer.cookies import Cookies
from services.auth.settings import Settings
from services.auth.store import attempts, codes, sessions, users
from services.auth.tables import User
from services.auth.tokens import Tokens, token_hash


@dataclass(frozen=True)
class Credentials:
    """What makes and checks the credentials of users."""

    keys: SigningKeys
    tokens: Tokens
    passwords: Passwords
    families: Families
    cookies: Cookies


class AuthServicer(auth_service_pb2_grpc.AuthServiceServicer):
    def __init__(self, settings: Settings, database: Sessions, credentials: Credentials) -> None:
        self._settings = settings
        self._sessions = database
        self._keys = credentials.keys
        self._tokens = credentials.tokens
        self._passwords = credentials.passwords
        self._families = credentials.families
        self._cookies = credentials.cookies

    async def Register(self, request: messages.RegisterRequest, context: Context) -> messages.RegisterResponse:
        if not self._settings.registration_open:
            raise refusals.registration_closed()
        username, email = request.username.casefold(), request.email.casefold()
        buckets = limits.of_registration(call.current().client_address, self._settings.registrations_per_network)
        # What costs little comes first: a hash is only made for whom there is a place.
        async with self._sessions.begin() as session:
            attempt = await attempts.reserve(session, buckets)
            taken_field = None if isinstance(attempt, float) else await users.taken(session, username, email)
        if isinstance(attempt, float):
            raise refusals.too_many_registrations(attempt)
        if taken_field:
            raise refusals.user_exists(taken_field)
        weak = await self._passwords.weakness(request.password, [username, email, request.full_name])
        if weak:
            raise invalid("password", weak)
        password_hash = await self._passwords.hash(request.password)
        user = User(
            username=username, email=email, full_name=request.full_name, password_hash=password_hash, role=self._settings.default_role
        )
        async with self._sessions.begin() as session:
            taken_field = await users.add(session, user)
            if taken_field:
                raise refusals.user_exists(taken_field)
            tokens = await self._families.start(session, user)
            await sessions.audit(session, audit.entry(user.id, "register", "ok"))
        return messages.RegisterResponse(user=user_message(user), tokens=await self._cookies.hand_over(context, tokens))

    async def Login(self, request: messages.LoginRequest, context: Context) -> messages.LoginResponse:
        name, device = request.username.casefold(), self._cookies.presented(context, request.refresh_token)
        pseudonym = self._tokens.pseudonym(name)
        async with self._sessions.begin() as session:
            known = await users.by_login(session, name)
            attempt = await attempts.reserve(session, await self._buckets(session, device, known, pseudonym))
            if not isinstance(attempt, float):
                entry = audit.entry(known.id if known else pseudonym, "login", "refused")
                await sessions.audit(session, entry)
        if isinstance(attempt, float):
            metrics.SIGN_INS.labels("limited").inc()
            raise refusals.too_many_attempts(attempt)
        matches = await self._passwords.matches(known.password_hash if known else None, request.password)
        async with self._sessions.begin() as session:
            user = await users.by_id(session, known.id) if known and matches else None
            if user and user.is_active:
                await users.signed_in(session, user)
                tokens = await self._families.start(session, user)
                await attempts.forgive(session, attempt)
                await sessions.audited_as(session, entry, "ok")
            else:
                metrics.SIGN_INS.labels("refused").inc()
                raise refusals.credentials_wrong()
        metrics.SIGN_INS.labels("ok").inc()
        return messages.LoginResponse(user=user_message(user), tokens=await self._cookies.hand_over(context, tokens))

    async def _buckets(self, session: AsyncSession, device: str, known: User | None, pseudonym: str) -> list[limits.Bucket]:
        shown = await sessions.find(session, token_hash(device)) if device else None
        if shown is not None and known is not None and shown.user_id == known.id:
            return limits.of_known_device(shown.family_id)
        return limits.of_sign_in(pseudonym, call.current().client_address)

    async def SignInWithCode(self, request: messages.SignInWithCodeRequest, context: Context) -> messages.SignInWithCodeResponse:
        async with self._sessions.begin() as session:
            user = await codes.take(session, token_hash(request.code))
            if user is not None:
                await users.signed_in(session, user)
                tokens = await self._families.start(session, user)
                await sessions.audit(session, audit.entry(user.id, "sign in with code", "ok"))
        # The use of a code that does not hold is committed before the refusal is raised.
        if user is None:
            metrics.SIGN_INS.labels("refused").inc()
            raise refusals.sign_in_code_invalid()
        metrics.SIGN_INS.labels("ok").inc()
        return messages.SignInWithCodeResponse(user=user_message(user), tokens=await self._cookies.hand_over(context, tokens))

    async def GetSignInOptions(self, request: messages.GetSignInOptionsRequest, context: Context) -> messages.GetSignInOptionsResponse:
        async with self._sessions() as session:
            first_user = not await users.any_registered(session)
        return messages.GetSignInOptionsResponse(registration_open=self._settings.registration_open, first_user=first_user)

    async def RefreshToken(self, request: messages.RefreshTokenRequest, context: Context) -> messages.RefreshTokenResponse:
        presented = self._cookies.presented(context, request.refresh_token)
        async with self._sessions.begin() as session:
            tokens = await self._families.refresh(session, presented)
        # The end of a reused family is committed before the refusal is raised.
        if tokens is None:
            raise refusals.refresh_token_invalid()
        return messages.RefreshTokenResponse(tokens=await self._cookies.hand_over(context, tokens))

    async def Logout(self, request: messages.LogoutRequest, context: Context) -> messages.LogoutResponse:
        async with self._sessions.begin() as session:
            await self._families.end_presented(session, self._cookies.presented(context, request.refresh_token))
        await self._cookies.clear(context)
        return messages.LogoutResponse()

    async def GetJwks(self, request: messages.GetJwksRequest, context: Context) -> httpbody_pb2.HttpBody:
        return httpbody_pb2.HttpBody(content_type="application/json", data=self._keys.jwks.encode())
