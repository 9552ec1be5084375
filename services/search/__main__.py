"""Constructs the search service and serves it."""

from libs.rpc import channels
from libs.rpc.boundary import Access
from libs.rpc.boundary.admit import Share
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from semantik.search.v1 import index_internal_service_pb2_grpc, search_internal_service_pb2_grpc, search_service_pb2_grpc
from services.search.collection_access import CollectionAccess
from services.search.index.indexes import Indexes
from services.search.qdrant import Qdrant, connect
from services.search.search import Search
from services.search.servicer.index import IndexInternalServicer
from services.search.servicer.search import SearchInternalServicer, SearchServicer
from services.search.settings import Settings

_AUTH = ["semantik.auth.v1.AuthInternalService"]
_COLLECTION = ["semantik.collection.v1.CollectionInternalService"]
_EMBEDDING = ["semantik.embedding.v1.EmbeddingInternalService"]


# A long question costs as much as twenty short ones: one of a user's at a time leaves the others' in between.
_SHARE = Share(calls=4, request_bytes=2048)


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("search", settings)
    client = connect(settings.qdrant_url, settings.qdrant_api_key.get_secret_value(), settings.qdrant_timeout_seconds)
    qdrant = Qdrant(client, settings.qdrant_timeout_seconds)
    indexes = Indexes(qdrant)
    async with (
        channels.connect(settings.auth_address, "auth", mesh, _AUTH) as auth,
        channels.connect(settings.collection_address, "collection", mesh, _COLLECTION) as collection,
        channels.connect(settings.embedding_address, "embedding", mesh, _EMBEDDING) as embedding,
    ):
        access = CollectionAccess(collection, settings.authorization_cache_seconds)
        search = Search(qdrant, access, embedding)
        services = [
            Served(
                "semantik.search.v1.SearchService",
                search_service_pb2_grpc.add_SearchServiceServicer_to_server,
                SearchServicer(search),
                Access.MEMBER,
            ),
            Served(
                "semantik.search.v1.SearchInternalService",
                search_internal_service_pb2_grpc.add_SearchInternalServiceServicer_to_server,
                SearchInternalServicer(search),
                Access.MESH,
            ),
            Served(
                "semantik.search.v1.IndexInternalService",
                index_internal_service_pb2_grpc.add_IndexInternalServiceServicer_to_server,
                IndexInternalServicer(indexes, access),
                Access.MESH,
            ),
        ]
        try:
            await Server(settings, services, mesh, auth_client.verifier(auth), qdrant.ready, share=_SHARE).run()
        finally:
            await indexes.close()
            await client.close()


if __name__ == "__main__":
    settings = configured(Settings)
    run("search", settings, main(settings))
