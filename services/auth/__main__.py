"""Constructs the auth service and serves it."""

from functools import partial

from libs.db import engine as db
from libs.periodic.jobs import Periodic
from libs.rpc import contract
from libs.rpc.boundary import Access
from libs.rpc.mesh import MeshIdentity
from libs.rpc.paging import Pager
from libs.rpc.process import configured, run
from libs.rpc.server import Served, Server
from semantik.auth.v1 import auth_internal_service_pb2_grpc, auth_service_pb2_grpc, user_service_pb2_grpc
from services.auth import periodic, revocations
from services.auth.families import Families
from services.auth.keys import SigningKeys
from services.auth.passwords import Passwords
from services.auth.rate_limits.counters import Counters
from services.auth.rate_limits.servicer import RateLimitServicer, add_rate_limits
from services.auth.servicer.auth import AuthServicer, Credentials
from services.auth.servicer.cookies import Cookies
from services.auth.servicer.internal import AuthInternalServicer
from services.auth.servicer.reflection import ReflectionServicer, add_reflection
from services.auth.servicer.user import UserServicer
from services.auth.settings import Settings
from services.auth.tokens import Tokens


async def main(settings: Settings) -> None:
    mesh = MeshIdentity.of("auth", settings)
    keys = SigningKeys(settings.signing_key_dir, may_generate=settings.may_generate_keys)
    pager = Pager(mesh)
    async with (
        db.database(settings, "auth") as engine,
        db.reads(settings, "auth") as reads,
        db.probe(settings, "auth") as ready,
    ):
        database = db.sessions(engine)
        access_seconds = settings.access_token_lifetime_seconds
        verifier = revocations.verifier(keys, database, access_seconds)
        tokens = Tokens(keys, mesh, access_seconds)
        families = Families(settings, tokens, verifier)
        services = [
            Served(
                "semantik.auth.v1.AuthService",
                auth_service_pb2_grpc.add_AuthServiceServicer_to_server,
                AuthServicer(settings, database, Credentials(keys, tokens, Passwords(), families, Cookies(mesh))),
                Access.ANYONE,
            ),
            Served(
                "semantik.auth.v1.UserService",
                user_service_pb2_grpc.add_UserServiceServicer_to_server,
                UserServicer(database, reads, pager, families, tokens),
                Access.SIGNED_IN,
            ),
            Served(
                "semantik.auth.v1.AuthInternalService",
                auth_internal_service_pb2_grpc.add_AuthInternalServiceServicer_to_server,
                AuthInternalServicer(database, keys, pager, access_seconds),
                Access.MESH,
            ),
            Served(contract.REFLECTION, add_reflection, ReflectionServicer(), Access.ANYONE),
        ]
        counters = Counters(settings.redis_url) if settings.redis_url else None
        rates = RateLimitServicer(mesh, verifier, counters, settings.rate_limits)
        background = [Periodic(settings.redis_url, "auth", periodic.jobs(database)).run]
        await Server(
            settings,
            services,
            mesh,
            verifier,
            ready,
            background=background,
            translate=db.translate,
            foreign=[partial(add_rate_limits, rates)],
        ).run()


if __name__ == "__main__":
    settings = configured(Settings)
    run("auth", settings, main(settings))
