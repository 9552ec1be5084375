"""AuthInternalService: what offline verification cannot know."""

from libs.db.engine import Sessions
from libs.rpc.boundary import Context
from libs.rpc.timestamps import timestamp
from semantik.auth.v1 import auth_internal_service_pb2 as messages
from semantik.auth.v1 import auth_internal_service_pb2_grpc
from services.auth.keys import SigningKeys
from services.auth.store import sessions


class AuthInternalServicer(auth_internal_service_pb2_grpc.AuthInternalServiceServicer):
    def __init__(self, database: Sessions, keys: SigningKeys) -> None:
        self._sessions = database
        self._keys = keys

    async def ListRevocations(self, request: messages.ListRevocationsRequest, context: Context) -> messages.ListRevocationsResponse:
        async with self._sessions() as session:
            rows = await sessions.revocations_after(session, request.after_seq)
        entries = [
            messages.Revocation(
                seq=row.seq, user_id=row.user_id or "", session_id=row.session_id or "", not_before=timestamp(row.not_before)
            )
            for row in rows
        ]
        return messages.ListRevocationsResponse(revocations=entries)

    async def GetVerificationKeys(
        self, request: messages.GetVerificationKeysRequest, context: Context
    ) -> messages.GetVerificationKeysResponse:
        return messages.GetVerificationKeysResponse(jwks=self._keys.jwks)
