"""Constructs the operation service and serves it."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from libs.db import engine as db
from libs.rpc import channels
from libs.rpc.bell import Bell
from libs.rpc.boundary import Access
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.paging import Pager
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from semantik.operation.v1 import operation_internal_service_pb2_grpc, operation_service_pb2_grpc
from services.operation.feed import Feed
from services.operation.permission import Permission
from services.operation.servicer.internal import OperationInternalServicer
from services.operation.servicer.operation import OperationServicer
from services.operation.settings import Settings
from services.operation.sweeper import sweep


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("operation", settings)
    draining = asyncio.Event()
    bell = Bell(settings.redis_url)
    async with (
        db.database(settings, "operation") as engine,
        db.probe(settings, "operation") as ready,
        channels.connect(settings.auth_address, "auth", mesh, ["semantik.auth.v1.AuthInternalService"]) as auth,
        channels.connect(
            settings.collection_address, "collection", mesh, ["semantik.collection.v1.CollectionInternalService"]
        ) as collection,
    ):
        sessions = db.sessions(engine)
        verifier = auth_client.verifier(auth)
        feed = Feed(settings.database_url, sessions, settings.repeat_seconds)
        services = [
            Served(
                "semantik.operation.v1.OperationService",
                operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
                OperationServicer(sessions, Permission(collection), Pager(mesh), feed, verifier, draining, bell),
                Access.MEMBER,
            ),
            Served(
                "semantik.operation.v1.OperationInternalService",
                operation_internal_service_pb2_grpc.add_OperationInternalServiceServicer_to_server,
                OperationInternalServicer(settings, sessions, bell),
                Access.MESH,
            ),
        ]
        background: list[Callable[[], Awaitable[None]]] = [feed.run, partial(sweep, settings, sessions, bell)]
        await Server(settings, services, mesh, verifier, ready, background, db.translate, draining).run()


if __name__ == "__main__":
    settings = configured(Settings)
    run("operation", settings, main(settings))
