"""One sign-in, used by several processes at once: none of them signs another out."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
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
from libs.rpc.proof import gateway_proof
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


@pytest.fixture(scope="module")
async def address(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """An auth service behind its gateway: access tokens are renewed at every call, refresh tokens have no grace."""
    directory = tmp_path_factory.mktemp("auth")
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
            "ACCESS_TOKEN_LIFETIME_SECONDS": "60",
            "REFRESH_GRACE_SECONDS": "0",
        }
        command = [sys.executable, "-P", "-m", "services.auth"]
        proof = gateway_proof((directory / "mesh.pem").read_bytes())
        async with (
            child(Spec("auth", command, grpc_health(port), environment=environment), directory),
            gateway(port, directory, {PROOF: proof}) as gateway_port,
        ):
            yield f"127.0.0.1:{gateway_port}"


async def _sign_in(address: str, path: Path, name: str) -> None:
    async with Client(address, token_store=Credentials(address, path)) as client:
        await client.accounts.register(name, f"{name}@example.org", PASSWORD)


async def test_processes_that_renew_at_once_all_go_on(address: str, tmp_path: Path) -> None:
    """Each has read the file before any renews; every call of each renews."""
    path = tmp_path / "credentials.json"
    await _sign_in(address, path, "ada")
    pipe = asyncio.subprocess.PIPE
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM, address, str(path)), stdin=pipe, stdout=pipe, stderr=pipe
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"read\n"
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
        with pytest.raises(SemantikError, match="sign in again"):
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
