"""One sign-in, used by several processes at once: none of them signs another out."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from deploy.local import supervisor
from deploy.local.child import Spec
from deploy.local.ports import choose
from deploy.local.ready import grpc_health
from libs.db.migrate import upgrade
from libs.rpc.proof import gateway_proof
from semantik.client import Client, SemantikError
from semantik.command.credentials import Credentials
from tests.conftest import PASSWORD
from tests.gateway.conftest import PROOF, gateway
from tests.servers import child, postgres

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from semantik.client import Client
from semantik.command.credentials import Credentials

async def main(address, path):
    async with Client(address, token_store=Credentials(address, Path(path))) as client:
        print("read", flush=True)
        sys.stdin.readline()
        for _ in range(5):
            await client.accounts.me()

asyncio.run(main(*sys.argv[1:]))
"""
# Calls for a while, with pauses from none to longer than an access token lives; "cron" begins anew each time.
_NEIGHBOUR = """
import asyncio, random, sys, time
from pathlib import Path
from semantik.client import Client
from semantik.command.credentials import Credentials

async def main(address, path, kind, seconds):
    numbers, end, calls = random.Random(kind), time.monotonic() + float(seconds), 0
    while time.monotonic() < end:
        async with Client(address, token_store=Credentials(address, Path(path))) as client:
            for _ in range(1 if kind.startswith("cron") else 1000):
                assert (await client.accounts.me()).username == "lin"
                calls += 1
                await asyncio.sleep(numbers.choice([0, 0.05, 0.3, 1, 3.5]))
                if time.monotonic() > end:
                    break
    print(calls)

asyncio.run(main(*sys.argv[1:]))
"""
_HOLDER = """
import asyncio, sys
from pathlib import Path
from semantik.command.credentials import Credentials

async def main(address, path):
    async with Credentials(address, Path(path)).exclusive():
        print("held", flush=True)
        sys.stdin.readline()

asyncio.run(main(*sys.argv[1:]))
"""
_PIPE = asyncio.subprocess.PIPE
_SECONDS = 12


@asynccontextmanager
async def _serving(directory: Path, **settings: str) -> AsyncIterator[str]:
    """An auth service behind its gateway."""
    (directory / "mesh.pem").write_bytes(supervisor._new_key())
    async with postgres() as cluster:
        await cluster.create("signins")
        await asyncio.to_thread(upgrade, "auth", cluster.url("auth", "signins"))
        port = choose(["auth"], directory / "ports.json", str(directory))["auth"]
        environment = {
            **os.environ,
            "ENVIRONMENT": "local",
            "DATABASE_URL": cluster.url("auth", "signins"),
            "LISTEN_ADDRESS": f"127.0.0.1:{port}",
            "MESH_KEY_FILE": str(directory / "mesh.pem"),
            "SIGNING_KEY_DIR": str(directory / "signing"),
            **settings,
        }
        command = [sys.executable, "-P", "-m", "services.auth"]
        proof = gateway_proof((directory / "mesh.pem").read_bytes())
        async with (
            child(Spec("auth", command, grpc_health(port), environment=environment), directory),
            gateway(port, directory, {PROOF: proof}) as gateway_port,
        ):
            yield f"127.0.0.1:{gateway_port}"


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Access tokens are renewed after a second and a half, refresh tokens have no grace."""
    settings = {"ACCESS_TOKEN_LIFETIME_SECONDS": "2", "REFRESH_GRACE_SECONDS": "0"}
    async with _serving(tmp_path_factory.mktemp("auth"), **settings) as served:
        yield served


async def _started(program: str, *arguments: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", program, *map(str, arguments)), stdin=_PIPE, stdout=_PIPE, stderr=_PIPE
    )


async def _sign_in(address: str, path: Path, name: str) -> None:
    async with Client(address, token_store=Credentials(address, path)) as client:
        await client.accounts.register(name, f"{name}@example.org", PASSWORD)


async def test_processes_that_renew_at_once_all_go_on(address: str, tmp_path: Path) -> None:
    """Each has read the file before any renews, and what it has read is out of date by then."""
    path = tmp_path / "credentials.json"
    await _sign_in(address, path, "ada")
    processes = [await _started(_PROGRAM, address, path) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"read\n"
    # Longer than an access token lives.
    await asyncio.sleep(2)
    ends = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert [(process.returncode, stderr) for process, (_, stderr) in zip(processes, ends, strict=True)] == [(0, b"")] * 4
    async with Client(address, token_store=Credentials(address, path)) as client:
        assert (await client.accounts.me()).username == "ada"


async def test_a_process_takes_the_sign_in_that_replaced_its_own(address: str, tmp_path: Path) -> None:
    """It began before its user signed out and in again; its own refresh token is good no more."""
    path = tmp_path / "credentials.json"
    await _sign_in(address, path, "grace")
    async with AsyncExitStack() as stack:
        old, new = [await stack.enter_async_context(Client(address, token_store=Credentials(address, path))) for _ in range(2)]
        await new.accounts.logout()
        with pytest.raises(SemantikError, match="is not valid"):
            await old.accounts.me()
        await new.accounts.login("grace", PASSWORD)
        assert (await old.accounts.me()).username == "grace"


async def test_a_process_never_takes_another_users_sign_in(address: str, tmp_path: Path) -> None:
    """It goes on as who it was, and leaves the file to the other."""
    path = tmp_path / "credentials.json"
    await _sign_in(address, path, "joan")
    async with Client(address, token_store=Credentials(address, path)) as joan:
        await _sign_in(address, path, "mary")
        assert (await joan.accounts.me()).username == "joan"
        assert (await joan.accounts.me()).username == "joan"
    async with Client(address, token_store=Credentials(address, path)) as client:
        assert (await client.accounts.me()).username == "mary"


async def test_terminals_a_notebook_and_cron_jobs_live_together(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Eight processes renew for many lives of an access token; one is killed while it holds the lock, one in the middle of its calls."""
    path = tmp_path / "credentials.json"
    async with _serving(tmp_path_factory.mktemp("together"), ACCESS_TOKEN_LIFETIME_SECONDS="2") as address:
        await _sign_in(address, path, "lin")
        kinds = ["terminal-1", "terminal-2", "notebook-1", "notebook-2", "notebook-3", "cron-1", "cron-2"]
        neighbours = [await _started(_NEIGHBOUR, address, path, kind, str(_SECONDS)) for kind in kinds]
        killed = await _started(_NEIGHBOUR, address, path, "killed", str(10 * _SECONDS))
        holder = await _started(_HOLDER, address, path)
        assert holder.stdout is not None
        assert await holder.stdout.readline() == b"held\n"
        # All others wait for it by now, or soon.
        await asyncio.sleep(2.5)
        for process in (holder, killed):
            process.kill()
            await process.communicate()
        ends = await asyncio.gather(*(process.communicate() for process in neighbours))
        assert [(process.returncode, stderr) for process, (_, stderr) in zip(neighbours, ends, strict=True)] == [(0, b"")] * len(kinds)
        assert all(int(stdout) > 1 for stdout, _ in ends)
        async with Client(address, token_store=Credentials(address, path)) as client:
            assert (await client.accounts.me()).username == "lin"
            # One sign-in, which nothing has revoked or replaced.
            assert len(await client.accounts.sessions()) == 1


async def test_a_clock_that_is_wrong_costs_no_renewal_per_call(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every access token looks out of date on a computer that is ten minutes ahead, until one that was just made does."""
    path = tmp_path / "credentials.json"
    await _sign_in(address, path, "kay")
    async with Client(address, token_store=Credentials(address, path)) as client:
        true_time = time.time
        monkeypatch.setattr(time, "time", lambda: true_time() + 600)
        await client.accounts.me()
        renewed = client.session.tokens
        for _ in range(3):
            await client.accounts.me()
        assert client.session.tokens == renewed
