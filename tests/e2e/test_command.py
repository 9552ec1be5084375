"""The command as programs use it: JSON on standard output, an exit code, and nothing else there."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.local.supervisor import Mesh
from tests.conftest import Person
from tests.e2e.conftest import Command, started

_START_SECONDS = 90


async def test_one_signs_in_and_out(semantik: Command, ada: Person) -> None:
    """Signing out says whether one was signed in; then the sign-in is gone."""
    code, [user] = await semantik("login", ada.user.username)
    assert (code, user["id"]) == (0, ada.user.id)
    assert await semantik("logout") == (0, [{"signedOut": True}])
    assert await semantik("logout") == (0, [{"signedOut": False}])
    assert await semantik("whoami") == (3, [])


async def test_work_and_documents_are_shown(semantik: Command, ada: Person, shelf: Path) -> None:
    """What was indexed, word for word, and the work that did it."""
    (shelf / "größe.txt").write_text("Die größte Sorte.")
    await semantik("login", ada.user.username)
    assert await semantik("search", "apples") == (0, [{"hits": []}])
    code, states = await semantik("index", shelf, "--collection", "papers")
    assert (code, states[-1]["state"], states[-1]["progress"]["documentsIndexed"]) == (0, "STATE_SUCCEEDED", "1")
    assert await semantik("operations", "show", states[-1]["id"]) == (0, [states[-1]])
    _, [[document]] = await semantik("documents", "list", "--collection", "papers")
    assert await semantik("documents", "content", document["id"]) == (0, [{"text": "Die größte Sorte."}])
    collection = await ada.client.collections.named("papers")
    upload, operation = await ada.client.documents.upload(collection.id, shelf / "größe.txt", "again.txt")
    await ada.client.operations.wait(operation.id)
    original = base64.b64encode("Die größte Sorte.".encode()).decode()
    assert await semantik("documents", "content", upload.id, "--original") == (0, [{"original": original}])


async def test_a_log_is_one_object_a_line(semantik: Command, mesh: Mesh) -> None:
    """Whatever a line holds; the log of no process is not found."""
    log = mesh.home.logs / "example.log"
    log.write_text('{"a": "b"}\n\x1b[1mbold "quoted"\nlast\n')
    lines = [{"process": "example", "line": line} for line in ('\x1b[1mbold "quoted"', "last")]
    assert await semantik("logs", "example", "-n", "2", "--data-dir", mesh.home.path) == (0, lines)
    assert await semantik("logs", "nothing", "--data-dir", mesh.home.path) == (4, [])


@pytest.fixture
async def data(tmp_path: Path) -> AsyncIterator[Path]:
    yield tmp_path / "data"
    process = await started("down", "--data-dir", tmp_path / "data")
    await process.communicate()
    shutil.rmtree((tmp_path / "data" / "postgres").resolve(), ignore_errors=True)


async def test_a_mesh_says_once_that_it_is_ready(semantik: Command, data: Path) -> None:
    """In one line, where it is; it answers there and runs on, until it is told to stop."""
    process = await started("up", "--json", "--data-dir", data)
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), _START_SECONDS))
    assert (ready["data_dir"], ready["pid"]) == (str(data), process.pid)
    assert (await semantik("register", "grace", "--email", "grace@example.org", "--address", ready["address"]))[0] == 0
    assert await semantik("down", "--data-dir", data) == (0, [{"stopped": True}])
    assert (await process.stdout.read(), await process.wait()) == (b"", 0)
    assert await semantik("down", "--data-dir", data) == (0, [{"stopped": False}])


async def test_the_data_directory_may_be_named_once(mesh: Mesh) -> None:
    """By SEMANTIK_DATA_DIR, for every command on the mesh; each process that has metrics says where."""
    process = await started("status", "--json", SEMANTIK_DATA_DIR=str(mesh.home.path))
    output, _ = await process.communicate()
    status = json.loads(output)
    assert (process.returncode, status["gateway"]) == (0, mesh.gateway)
    metrics = {process["name"]: process["metrics"] for process in status["processes"]}
    assert {name for name, address in metrics.items() if not address} == {"postgres", "redis"}
    async with httpx.AsyncClient() as http:
        for name, series in (("operation", "semantik_operation_queued"), ("envoy", "envoy_http_downstream_rq_total")):
            assert series in (await http.get(metrics[name])).text


async def test_top_shows_what_the_mesh_does(mesh: Mesh, ada: Person) -> None:
    """Processes with what they use, and the calls of one second."""

    async def calls() -> None:
        while True:
            await ada.client.accounts.me()

    calling = asyncio.create_task(calls())
    process = await started("top", "--json", "--once", SEMANTIK_DATA_DIR=str(mesh.home.path))
    output, _ = await process.communicate()
    calling.cancel()
    await asyncio.wait([calling])
    second = json.loads(output)
    assert process.returncode == 0
    assert {"envoy", "auth", "worker"} <= {process["name"] for process in second["processes"]}
    assert sum(process["cpu_percent"] for process in second["processes"]) > 0
    assert min(process["mib"] for process in second["processes"]) > 0
    me = next(rpc for rpc in second["rpcs"] if rpc["method"].endswith("GetMe"))
    assert me["per_second"] > 0
    assert me["mean_milliseconds"] > 0


async def test_things_are_named_by_name_or_id(semantik: Command, ada: Person, shelf: Path) -> None:
    """A collection by both, a document by its path too, an operation by the beginning of its id."""
    (shelf / "apple.txt").write_text("An apple is red.")
    await semantik("login", ada.user.username)
    _, [collection] = await semantik("collections", "create", "papers", "--precision", "float32")
    assert collection["precision"] == "PRECISION_FLOAT32"
    _, states = await semantik("index", shelf, "--collection", collection["id"])
    assert await semantik("collections", "show", "papers") == await semantik("collections", "show", collection["id"])
    assert await semantik("documents", "content", "apple.txt", "-c", "papers") == (0, [{"text": "An apple is red."}])
    assert await semantik("documents", "content", "pear.txt", "-c", "papers") == (4, [])
    assert await semantik("documents", "content", "apple.txt") == (1, [])
    assert await semantik("operations", "show", states[-1]["id"][:8]) == (0, [states[-1]])
    assert (await semantik("index", shelf, "--collection", "papers", "--precision", "int8"))[0] == 1
    assert (await semantik("search", "apple", "-c", "papers"))[1][0]["hits"][0]["collectionId"] == collection["id"]


async def test_one_gateway_has_one_sign_in_however_it_is_written(semantik: Command, ada: Person, mesh: Mesh) -> None:
    """As a URL, by either name of this computer."""
    await semantik("login", ada.user.username)
    port = mesh.gateway.rpartition(":")[2]
    for address in (f"http://127.0.0.1:{port}", f"localhost:{port}", f"http://localhost:{port}/"):
        code, [user] = await semantik("whoami", "--address", address)
        assert (address, code, user["id"]) == (address, 0, ada.user.id)
    assert await semantik("whoami", "--address", "ftp://localhost") == (2, [])
    assert await semantik("whoami", "--address", "127.0.0.1:1") == (6, [])
