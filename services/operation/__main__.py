"""Constructs the operation service and serves it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from functools import partial

from libs.db import engine as db
from libs.feed.feed import Feed
from libs.feed.listen import listen
from libs.outbox.sender import Sender
from libs.rpc import channels
from libs.rpc.boundary import Access
from libs.rpc.identity import auth_client
from libs.rpc.mesh import MeshIdentity
from libs.rpc.paging import Pager
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from libs.work.retry import is_transient
from semantik.operation.v1 import operation_internal_service_pb2_grpc, operation_service_pb2_grpc
from semantik.operation.v1.operation_service_pb2 import WatchOperationResponse
from services.operation.collection import CollectionClient
from services.operation.convert import watch_message
from services.operation.dispatcher import Dispatcher
from services.operation.limits import limits
from services.operation.permission import Permission
from services.operation.servicer.internal import OperationInternalServicer
from services.operation.servicer.operation import OperationServicer
from services.operation.settings import Settings
from services.operation.store import claims, notify, operations
from services.operation.tables import Outbox
from services.operation.upkeep import SlotKeeper, Sweeper


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("operation", settings)
    draining = asyncio.Event()
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

        async def read(ids: Collection[str]) -> Mapping[str, WatchOperationResponse]:
            async with sessions() as session:
                return {row.id: watch_message(row) for row in await operations.of_ids(session, ids)}

        feed = Feed(read, lambda state: state.operation.revision, reread_seconds=settings.repeat_seconds)
        dispatcher = Dispatcher(sessions, timedelta(seconds=settings.lease_seconds))
        bounds = limits(settings)
        client = CollectionClient(collection)

        def rung() -> None:
            feed.mark_all()
            dispatcher.ring_all()

        async def close() -> None:
            await draining.wait()
            feed.close()
            dispatcher.close()
            # The server ends what runs beside it.
            await asyncio.Event().wait()

        services = [
            Served(
                "semantik.operation.v1.OperationService",
                operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
                OperationServicer(sessions, Permission(collection), client, Pager(mesh), feed, verifier, settings.repeat_seconds),
                Access.MEMBER,
            ),
            Served(
                "semantik.operation.v1.OperationInternalService",
                operation_internal_service_pb2_grpc.add_OperationInternalServiceServicer_to_server,
                OperationInternalServicer(settings, sessions, dispatcher, bounds),
                Access.MESH,
            ),
        ]
        bells = {notify.CHANGED: feed.mark, notify.QUEUED: dispatcher.ring}
        background: list[Callable[[], Awaitable[None]]] = [
            feed.run,
            dispatcher.run,
            partial(listen, db.dsn(settings.database_url), "operation", bells, rung),
            Sweeper(settings, sessions, dispatcher, bounds).run,
            SlotKeeper(settings, sessions).run,
            Sender(sessions, Outbox, {claims.COLLECTION_FAILED: client.mark_failed}, is_transient).run,
            close,
        ]
        await Server(settings, services, mesh, verifier, ready, background, db.translate, draining).run()


if __name__ == "__main__":
    settings = configured(Settings)
    run("operation", settings, main(settings))
