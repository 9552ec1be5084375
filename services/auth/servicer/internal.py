"""AuthInternalService: what offline verification of tokens needs."""

from datetime import datetime

from libs.db.engine import Sessions
from libs.rpc.boundary import Context
from libs.rpc.paging import Pager
from libs.rpc.timestamps import timestamp
from semantik.auth.v1 import auth_internal_service_pb2 as messages
from semantik.auth.v1 import auth_internal_service_pb2_grpc
from services.auth.keys import SigningKeys
from services.auth.revocations import oldest_of_interest
from services.auth.store import sessions

_MOST = 1000


class AuthInternalServicer(auth_internal_service_pb2_grpc.AuthInternalServiceServicer):
    def __init__(self, database: Sessions, keys: SigningKeys, pager: Pager, access_seconds: int) -> None:
        self._sessions = database
        self._keys = keys
        self._pager = pager
        self._access_seconds = access_seconds

    async def ListRevocations(self, request: messages.ListRevocationsRequest, context: Context) -> messages.ListRevocationsResponse:
        size = request.page_size if request.HasField("page_size") else _MOST
        cursor = self._pager.cursor(request, None)
        after = (datetime.fromisoformat(str(cursor[0])), int(cursor[1])) if cursor else None
        async with self._sessions() as session:
            rows = await sessions.revocations_since(session, oldest_of_interest(self._access_seconds), size + 1, after)
        page, token = self._pager.page(rows, size, lambda row: [row.not_before.isoformat(), row.seq], request, None)
        entries = [
            messages.Revocation(user_id=row.user_id or "", session_id=row.session_id or "", not_before=timestamp(row.not_before))
            for row in page
        ]
        return messages.ListRevocationsResponse(revocations=entries, next_page_token=token)

    async def GetVerificationKeys(
        self, request: messages.GetVerificationKeysRequest, context: Context
    ) -> messages.GetVerificationKeysResponse:
        return messages.GetVerificationKeysResponse(jwks=self._keys.jwks)
