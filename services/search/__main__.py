"""Constructs the search service and serves it."""

import warnings
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient

from libs.rpc import channels
from libs.rpc.boundary import Access
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from semantik.search.v1 import index_internal_service_pb2_grpc, search_service_pb2_grpc
from services.search.authority import Authority
from services.search.index import Indexes
from services.search.retrieval import Retrieval
from services.search.searcher import Searcher
from services.search.servicer.internal import IndexInternalServicer
from services.search.servicer.search import SearchServicer
from services.search.settings import Settings


def _client(settings: Settings) -> AsyncQdrantClient:
    url = urlsplit(settings.qdrant_url)
    with warnings.catch_warnings():
        # On loopback and inside a cluster's mesh the key travels where nobody listens.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        return AsyncQdrantClient(
            host=url.hostname,
            grpc_port=url.port or 6334,
            https=url.scheme == "https",
            prefer_grpc=True,
            check_compatibility=False,
            api_key=settings.qdrant_api_key.get_secret_value() or None,
            timeout=settings.qdrant_timeout_seconds,
        )


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("search", settings)
    client = _client(settings)
    async with (
        channels.connect(settings.auth_address, "auth", mesh, ["semantik.auth.v1.AuthInternalService"]) as auth,
        channels.connect(
            settings.collection_address, "collection", mesh, ["semantik.collection.v1.CollectionInternalService"]
        ) as collection,
        channels.connect(settings.embedding_address, "embedding", mesh, ["semantik.embedding.v1.EmbeddingInternalService"]) as embedding,
    ):
        authority = Authority(collection, settings.authorization_cache_seconds)
        services = [
            Served(
                "semantik.search.v1.SearchService",
                search_service_pb2_grpc.add_SearchServiceServicer_to_server,
                SearchServicer(Searcher(Retrieval(client), authority, embedding)),
                Access.MEMBER,
            ),
            Served(
                "semantik.search.v1.IndexInternalService",
                index_internal_service_pb2_grpc.add_IndexInternalServiceServicer_to_server,
                IndexInternalServicer(Indexes(client)),
                Access.MESH,
            ),
        ]

        async def ready() -> None:
            await client.get_collections()

        try:
            await Server(settings, services, mesh, auth_client.verifier(auth), ready).run()
        finally:
            await client.close()


if __name__ == "__main__":
    settings = configured(Settings)
    run("search", settings, main(settings))
