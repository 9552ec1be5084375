"""EvaluationInternalService: what was measured goes with its collection."""

from libs.db.engine import Sessions
from libs.rpc.boundary import Context
from semantik.search.v1 import evaluation_internal_service_pb2 as messages
from semantik.search.v1 import evaluation_internal_service_pb2_grpc
from services.search.store import evaluations, judged_sets


class EvaluationInternalServicer(evaluation_internal_service_pb2_grpc.EvaluationInternalServiceServicer):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def ForgetCollection(self, request: messages.ForgetCollectionRequest, context: Context) -> messages.ForgetCollectionResponse:
        for remove in (evaluations.remove_some_of, judged_sets.remove_some_of):
            removed = True
            while removed:
                async with self._sessions.begin() as session:
                    removed = await remove(session, request.collection_id)
        return messages.ForgetCollectionResponse()
