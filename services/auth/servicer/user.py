"""UserService: the caller's own account and sessions."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from libs.db.engine import Sessions
from libs.db.tables import now
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import not_found, token_invalid
from libs.rpc.paging import Pager, page_size
from libs.rpc.timestamps import timestamp
from semantik.auth.v1 import user_service_pb2 as messages
from semantik.auth.v1 import user_service_pb2_grpc
from services.auth import audit
from services.auth.families import Families
from services.auth.servicer.convert import session_message, user_message
from services.auth.store import codes, sessions, users
from services.auth.tables import SignInCode
from services.auth.tokens import Tokens, token_hash


class UserServicer(user_service_pb2_grpc.UserServiceServicer):
    def __init__(self, database: Sessions, reads: AsyncEngine, pager: Pager, families: Families, tokens: Tokens) -> None:
        self._sessions = database
        self._reads = reads
        self._pager = pager
        self._families = families
        self._tokens = tokens

    async def GetMe(self, request: messages.GetMeRequest, context: Context) -> messages.GetMeResponse:
        async with self._reads.connect() as connection:
            user = await users.account(connection, call.principal().user_id)
        if user is None:
            raise token_invalid()
        return messages.GetMeResponse(user=user_message(user))

    async def ListSessions(self, request: messages.ListSessionsRequest, context: Context) -> messages.ListSessionsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        before = (datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None
        async with self._sessions() as session:
            rows = await sessions.live(session, principal.user_id, size + 1, before)
        page, token = self._pager.page(rows, size, lambda row: [row.start_time.isoformat(), row.family_id], request, principal)
        listed = [session_message(row, principal.session_id) for row in page]
        return messages.ListSessionsResponse(sessions=listed, next_page_token=token)

    async def RevokeSession(self, request: messages.RevokeSessionRequest, context: Context) -> messages.RevokeSessionResponse:
        async with self._sessions.begin() as session:
            if not await sessions.owned(session, request.session_id, call.principal().user_id):
                raise not_found("session", request.session_id)
            await self._families.end(session, request.session_id, "session revoked")
        return messages.RevokeSessionResponse()

    async def CreateSignInCode(self, request: messages.CreateSignInCodeRequest, context: Context) -> messages.CreateSignInCodeResponse:
        principal, code, expire_time = call.principal(), self._tokens.code(), now() + codes.LIFETIME
        row = SignInCode(session_id=principal.session_id, code_hash=token_hash(code), user_id=principal.user_id, expire_time=expire_time)
        async with self._sessions.begin() as session:
            await codes.put(session, row)
            await sessions.audit(session, audit.entry(principal.user_id, "create sign-in code", "ok"))
        return messages.CreateSignInCodeResponse(code=code, expire_time=timestamp(expire_time))
