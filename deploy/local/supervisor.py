"""Starts, watches and stops the processes of one mesh."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local import ports, schemas, state, usage
from deploy.local.child import Child, Spec, launched
from deploy.local.home import Home, MeshError, home_of
from deploy.local.postgres import DATABASE, ROLES, Postgres
from deploy.local.processes import Plan, port_names
from deploy.local.redis import Redis

DEFAULT_PORT = 8080
_TICK_SECONDS = 0.5
_MEASURE_SECONDS = 5.0
_READY_SECONDS = 120.0
_STATE_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to run a mesh."""

    data_dir: Path | None = None
    """None is the user's own."""
    port: int | None = None
    """The gateway's; None is 8080 or, if that is taken, a free one."""
    replicas: int = 1
    allowed_roots: tuple[Path, ...] = ()
    """The folders that anybody's directory sources may be in; what the operator adds may lie anywhere."""
    cors_origins: tuple[str, ...] = ()
    """The origins from which browsers may call."""
    reflection: bool = True
    """Whether the gateway describes the public services to whoever asks by gRPC reflection."""
    tls_certificate: Path | None = None
    """The certificate and its chain (PEM) of a second listener of the gateway, for TLS; None for none."""
    tls_key: Path | None = None
    tls_address: str = "0.0.0.0:8443"
    """Where TLS is answered; the plain listener stays on loopback."""
    model: str = ""
    """The model of new collections that name none; empty for the one that comes in a wheel."""
    unready_seconds: float | None = None
    """How long a process may be idle and unhealthy before it is replaced; None is the usual bound."""


class Mesh:
    """The processes of one mesh, children of this process."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.home: Home = home_of(options.data_dir)
        self.children: list[Child] = []
        self.gateway = ""
        self.start_seconds: float | None = None
        self._memory: dict[int, float] = {}
        self._born: dict[int, float] = {}
        self._watch: asyncio.Task[None] | None = None
        self._written: dict[str, Any] = {}

    async def start(self) -> None:
        """Start everything; returns when all processes run, before they are ready."""
        self._started = time.monotonic()
        usage.end_leftovers(state.read(self.home).get("processes", ()))
        self.home.clear_temporary()
        plan = self._plan()
        self._watch = asyncio.create_task(self._keep_state())
        await asyncio.to_thread(plan.postgres.prepare)
        database = self._run(plan.postgres.spec())
        self._run(plan.redis.spec(self.home.run))
        self._run(plan.qdrant())
        services = plan.services()
        for spec in services:
            if "postgres" not in spec.needs:
                self._run(spec)
        await asyncio.to_thread(self._render, plan)
        self._run(plan.envoy(self.home.run / "envoy.yaml"))
        try:
            await database.wait_ready(60)
        except TimeoutError:
            raise MeshError(f"Postgres does not start. See {self.home.logs / 'postgres.log'}") from None
        await plan.postgres.create()
        await self._migrate(plan)
        for spec in services:
            if "postgres" in spec.needs:
                self._run(spec)
        for spec in plan.workers():
            self._run(spec)

    async def wait_ready(self) -> None:
        """Wait until every process is ready; raises MeshError with the names of those that are not after two minutes."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                for child in self.children:
                    await child.wait_ready(None)
        except TimeoutError:
            late = "\n".join(f"  {child.spec.name}: {child.log}" for child in self.children if child.state != "ready")
            raise MeshError(f"not ready after {_READY_SECONDS:.0f} s; everything is stopped again. See the logs of\n{late}") from None
        if self.start_seconds is None:
            self.start_seconds = round(time.monotonic() - self._started, 2)

    async def stop(self) -> None:
        """Stop the gateway first and the databases last."""
        order = {"envoy": 0, "worker": 1, "postgres": 3, "redis": 3, "qdrant": 3}
        stages: dict[int, list[Child]] = {}
        for child in self.children:
            stages.setdefault(order.get(child.spec.name.partition("-")[0], 2), []).append(child)
        for stage in sorted(stages):
            await asyncio.gather(*(child.stop() for child in stages[stage]))  # each has its bound
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch], timeout=_STATE_SECONDS)
        self._write_state()

    def snapshot(self) -> dict[str, Any]:
        """Return the contents of ``state.json``."""
        return {
            "data_dir": str(self.home.path),
            "pid": os.getpid(),
            "gateway": self.gateway,
            "ready": bool(self.children) and self.start_seconds is not None and all(child.state == "ready" for child in self.children),
            "start_seconds": self.start_seconds,
            "pss_mib": round(sum(self._memory.values()), 1),
            "processes": [
                {
                    "name": child.spec.name,
                    "state": child.state,
                    "pid": child.pid,
                    "started": self._born.get(child.pid, 0.0),
                    "port": child.spec.port,
                    "metrics": f"http://{child.spec.metrics}/metrics" if child.spec.metrics else "",
                    "restarts": child.restarts,
                    "pss_mib": self._memory.get(child.pid, 0.0),
                }
                for child in self.children
            ],
        }

    def _plan(self) -> Plan:
        home = self.home
        if self.options.model and not home.has_model(self.options.model):
            raise MeshError(
                f"the model {self.options.model!r} is not in {home.models}; start without --model, install it with "
                "`semantik models download`, and start again"
            )
        chosen = ports.choose(port_names(self.options.replicas), home.ports, home.fingerprint)
        chosen["gateway"] = self._gateway_port()
        self.gateway = f"http://127.0.0.1:{chosen['gateway']}"
        home.secret_file("mesh.pem", _new_key)
        redis = Redis(home.run / "redis.sock", home.secret("redis-password"))
        home.secret("operator")
        roots = [root.resolve() for root in self.options.allowed_roots]
        return Plan(home, chosen, self.options.replicas, roots, Postgres(home.postgres), redis, self.options.model)

    def _gateway_port(self) -> int:
        wanted = self.options.port
        if wanted is not None:
            if not ports.is_free(wanted):
                raise MeshError(f"port {wanted} is taken; choose another with --port")
            return wanted
        if "gateway" not in ports.remembered(self.home.ports) and ports.is_free(DEFAULT_PORT):
            ports.remember(self.home.ports, {"gateway": DEFAULT_PORT})
        return ports.choose(["gateway"], self.home.ports, self.home.fingerprint)["gateway"]

    def _render(self, plan: Plan) -> None:
        # Loading every stub takes a while; the engines start meanwhile.
        from gateway import contract, render  # noqa: PLC0415
        from gateway.tls import Tls  # noqa: PLC0415
        from libs.rpc.proof import gateway_proof  # noqa: PLC0415

        options = self.options
        tls = Tls(options.tls_certificate, options.tls_key, options.tls_address) if options.tls_certificate and options.tls_key else None
        descriptor = self.home.run / "contract.pb"
        descriptor.write_bytes(contract.descriptor_set())
        endpoints = {name: plan.endpoints(name) for name in contract.CLUSTERS}
        proof = gateway_proof((self.home.keys / "mesh.pem").read_bytes())
        gateway = render.Gateway(
            endpoints,
            descriptor,
            plan.ports["gateway"],
            proof,
            admin=str(self.home.envoy),
            cors_origins=self.options.cors_origins,
            reflection=self.options.reflection,
            metrics=plan.metrics("envoy"),
            app=render.built_app(),
            tls=tls,
        )
        (self.home.run / "envoy.yaml").write_text(gateway.render())

    async def _migrate(self, plan: Plan) -> None:
        behind = await schemas.outdated(plan.postgres.dsn(database=DATABASE), ROLES)
        if not behind:
            return
        process = await asyncio.create_subprocess_exec(
            *launched([sys.executable, "-P", "-m", "libs.db.migrate", *behind]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=plan.migration_environment(),
            cwd=self.home.path,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        (self.home.logs / "migrate.log").write_bytes(output)
        if process.returncode:
            raise MeshError(f"the migrations of {', '.join(behind)} failed:\n{output.decode(errors='replace')[-2000:]}")

    def _run(self, spec: Spec) -> Child:
        if self.options.unready_seconds is not None:
            spec = replace(spec, unready_seconds=self.options.unready_seconds)
        child = Child(spec, self.home.logs, partial(self._are_ready, spec.needs))
        self.children.append(child)
        child.start()
        return child

    async def _keep_state(self) -> None:
        measured = 0.0
        while True:
            pids = [child.pid for child in self.children if child.pid]
            if time.monotonic() - measured > _MEASURE_SECONDS or set(pids) - set(self._born):
                self._born = {pid: self._born.get(pid) or usage.started_at(pid) for pid in pids}
                if self.start_seconds is not None:  # while starting, the processor has enough to do
                    self._memory = await asyncio.to_thread(usage.pss_mib, pids)
                    self._memory[os.getpid()] = usage.own_pss_mib()
                    measured = time.monotonic()
            self._write_state()
            await asyncio.sleep(_TICK_SECONDS)

    def _write_state(self) -> None:
        now = self.snapshot()
        if now == self._written:
            return
        try:
            state.write(self.home, now)
        except OSError as error:  # a full disk: the file stays as it was, and the next tick tries again
            log.warning("cannot write %s: %s", self.home.state, error)
        else:
            self._written = now

    def _are_ready(self, services: Sequence[str]) -> bool:
        """Return whether each of the services has a process that is ready."""
        ready = {child.spec.name.partition("-")[0] for child in self.children if child.state == "ready"}
        return ready.issuperset(services)


@asynccontextmanager
async def running(options: Options) -> AsyncIterator[Mesh]:
    """Lock a data directory for a mesh that the block starts (``start``, ``wait_ready``), and stop it at the end.

    Raises MeshError if one already runs.
    """
    mesh = Mesh(options)
    mask = os.umask(0o077)  # only the owner can read what it and its processes write
    try:
        mesh.home.prepare()
        with state.locked(mesh.home):
            try:
                yield mesh
            finally:
                await mesh.stop()
    finally:
        os.umask(mask)


def _new_key() -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - needed once in the life of a mesh
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(encoding, form, serialization.NoEncryption())
