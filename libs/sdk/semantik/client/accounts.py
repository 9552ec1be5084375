"""Signing in and out, and the caller's own account."""

from semantik.auth.v1 import auth_service_pb2, auth_service_pb2_grpc, session_pb2, user_pb2, user_service_pb2, user_service_pb2_grpc
from semantik.client.session import Session


class Accounts:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._auth = auth_service_pb2_grpc.AuthServiceStub(session.channel)
        self._users = user_service_pb2_grpc.UserServiceStub(session.channel)

    async def register(self, username: str, email: str, password: str, full_name: str = "") -> user_pb2.User:
        """Register a user and sign it in; the first one becomes ADMIN."""
        request = auth_service_pb2.RegisterRequest(username=username, email=email, password=password, full_name=full_name)
        answer = await self._session.call(self._auth.Register, request, signed=False)
        await self._session.keep(answer.tokens)
        return answer.user

    async def login(self, username: str, password: str) -> user_pb2.User:
        """Sign in with a username or an email address. An earlier session of this client shows that it is no stranger."""
        earlier = self._session.tokens.refresh_token if self._session.tokens else ""
        request = auth_service_pb2.LoginRequest(username=username, password=password, refresh_token=earlier)
        answer = await self._session.call(self._auth.Login, request, signed=False)
        await self._session.keep(answer.tokens)
        return answer.user

    async def sign_in_with_code(self, code: str) -> user_pb2.User:
        """Sign in with a code that another session of the user made (`sign_in_code`)."""
        answer = await self._session.call(self._auth.SignInWithCode, auth_service_pb2.SignInWithCodeRequest(code=code), signed=False)
        await self._session.keep(answer.tokens)
        return answer.user

    async def sign_in_code(self) -> str:
        """Return a secret that signs the caller in once more elsewhere, within five minutes."""
        return (await self._session.call(self._users.CreateSignInCode, user_service_pb2.CreateSignInCodeRequest())).code

    async def logout(self) -> None:
        """End the session, if there is one."""
        if self._session.tokens is not None:
            request = auth_service_pb2.LogoutRequest(refresh_token=self._session.tokens.refresh_token)
            await self._session.call(self._auth.Logout, request, signed=False)
            await self._session.keep(None)

    async def me(self) -> user_pb2.User:
        return (await self._session.call(self._users.GetMe, user_service_pb2.GetMeRequest())).user

    async def sessions(self) -> list[session_pb2.Session]:
        """Return the caller's live sessions, newest first."""
        answer = await self._session.call(self._users.ListSessions, user_service_pb2.ListSessionsRequest(page_size=1000))
        return list(answer.sessions)
