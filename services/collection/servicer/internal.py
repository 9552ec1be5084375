"""CollectionInternalService: who may do what, for the other services."""

from libs.db.engine import Sessions
from libs.rpc.boundary import Context
from libs.rpc.call import Principal
from semantik.collection.v1 import collection_internal_service_pb2 as messages
from semantik.collection.v1 import collection_internal_service_pb2_grpc
from semantik.collection.v1.grant_pb2 import Grant
from services.collection import permission
from services.collection.servicer.shapes import precision_message, role_message
from services.collection.store import collections
from services.collection.tables import Role


class CollectionInternalServicer(collection_internal_service_pb2_grpc.CollectionInternalServiceServicer):
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def AuthorizeCollections(
        self, request: messages.AuthorizeCollectionsRequest, context: Context
    ) -> messages.AuthorizeCollectionsResponse:
        principal = Principal.of(request.principal)
        role = Role(Grant.Role.Name(request.role).removeprefix("ROLE_"))
        async with self._sessions() as session:
            held = [await permission.require(session, principal, collection_id, role) for collection_id in request.collection_ids]
            generations = await collections.active_generations(session, [collection for collection, _ in held])
        authorized = [
            messages.AuthorizedCollection(
                collection_id=collection.id,
                name=collection.name,
                role=role_message(its_role),
                generation=collection.generation,
                index_name=generations[collection.id].qdrant_name,
                model=generations[collection.id].model,
                digest=generations[collection.id].digest,
                precision=precision_message(generations[collection.id].precision),
            )
            for collection, its_role in held
        ]
        return messages.AuthorizeCollectionsResponse(collections=authorized)

    async def ListReadableCollections(
        self, request: messages.ListReadableCollectionsRequest, context: Context
    ) -> messages.ListReadableCollectionsResponse:
        async with self._sessions() as session:
            found = await collections.readable_ids(session, Principal.of(request.principal))
        return messages.ListReadableCollectionsResponse(collection_ids=found)
