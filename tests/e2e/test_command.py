"""The command as programs use it: JSON on standard output, an exit code, and nothing else there."""

import asyncio
import base64
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from deploy.local.supervisor import Mesh
from semantik.client import Client, SemantikError
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


async def test_a_link_opens_the_app_signed_in(semantik: Command, ada: Person, mesh: Mesh) -> None:
    """As who is signed in here, once."""
    await semantik("login", ada.user.username)
    code, [answer] = await semantik("open")
    address, _, secret = answer["link"].partition("#code=")
    assert (code, address) == (0, f"{mesh.gateway}/sign-in")
    async with Client(mesh.gateway.removeprefix("http://")) as client:
        assert (await client.accounts.sign_in_with_code(secret)).id == ada.user.id
        with pytest.raises(SemantikError, match="used or has expired"):
            await client.accounts.sign_in_with_code(secret)


async def test_work_and_documents_are_shown(semantik: Command, ada: Person, shelf: Path) -> None:
    """What was indexed, word for word, and the work that did it."""
    (shelf / "größe.txt").write_text("Die größte Sorte.")
    await semantik("login", ada.user.username)
    code, [nothing] = await semantik("search", "apples")
    assert (code, nothing["hits"], nothing["warnings"]) == (0, [], [])
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


async def test_a_search_has_filters_counts_and_more_than_a_page(semantik: Command, ada: Person, shelf: Path) -> None:
    """A filter as text, hits of several pages, few of a document, similar ones alone; a filter with an error names its field."""
    (shelf / "lists").mkdir()
    lines = [json.dumps({"_id": str(number), "title": "", "text": f"apple number {number}"}) for number in range(130)]
    (shelf / "lists" / "apples.jsonl").write_text("\n".join(lines))
    (shelf / "pie.md").write_text("# Pie\n\nAn apple pie. A draft.")
    await semantik("login", ada.user.username)
    await semantik("index", shelf, "--collection", "papers")

    async def paths(*arguments: str) -> set[str]:
        code, [answer] = await semantik("search", "apple", *arguments)
        assert code == 0
        return {hit["path"] for hit in answer["hits"]}

    assert await paths("--filter", "ext:md draft") == {"pie.md"}
    assert await paths("-f", "path:lists/ -draft", "-n", "2", "--per-document", "1") < {f"lists/apples.jsonl#{each}" for each in range(130)}
    assert await paths("--min-similarity", "0.99") == set()
    code, [answer] = await semantik("search", "apple", "-n", "131", "--count", "ext", "--count", "folder")
    assert (code, len(answer["hits"]), answer["nextPageToken"]) == (0, 131, "")
    counts = {facet["kind"]: {value["value"]: value["count"] for value in facet["values"]} for facet in answer["facets"]}
    assert counts == {"KIND_EXTENSION": {"jsonl": "130", "md": "1"}, "KIND_FOLDER": {"lists": "130"}}
    assert await semantik("search", "apple", "--filter", "colour:red") == (1, [])


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


async def test_who_asks_at_the_wrong_address_is_told_the_right_one(mesh: Mesh, tmp_path: Path) -> None:
    """That of the mesh that runs in one's data directory: 8080 may have been taken when it started."""
    for directory, advice in ((mesh.home.path, f"export SEMANTIK_ADDRESS={mesh.gateway}"), (tmp_path, "`semantik up`")):
        environment = {**os.environ, "SEMANTIK_DATA_DIR": str(directory), "SEMANTIK_ADDRESS": "127.0.0.1:1"}
        program = (sys.executable, "-P", "-m", "semantik.command", "whoami")
        process = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.PIPE, env=environment)
        _, error = await process.communicate()
        assert process.returncode == 6
        assert advice in " ".join(error.decode().split())


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


async def test_searches_need_no_collection_and_explain_themselves(semantik: Command, ada: Person, shelf: Path) -> None:
    """What is similar is found by path or by text, and never the document itself."""
    for name, text in {
        "apple.txt": "An apple is a red fruit.",
        "pear.txt": "A pear is a green fruit.",
        "car.txt": "A car has wheels.",
    }.items():
        (shelf / name).write_text(text)
    await semantik("login", ada.user.username)
    await semantik("index", shelf, "--collection", "papers")
    code, [found] = await semantik("search", "red fruit", "--explain", "--neighbours", "1")
    assert (code, found["hits"][0]["name"]) == (0, "apple.txt")
    assert found["hits"][0]["explanation"]["terms"] == ["red", "fruit"]
    assert found["hits"][0]["neighbours"] == {"before": [], "after": []}
    assert [ranking["kind"] for ranking in found["explanation"]["rankings"]] == ["KIND_MEANING", "KIND_WORDS"]
    code, [found] = await semantik("search", "red fruit", "--section")
    assert (code, found["hits"][0]["neighbours"]) == (0, {"before": [], "after": []})
    assert found["hits"][0]["bestSentence"] == {"start": 0, "end": len(found["hits"][0]["text"])}
    assert (await semantik("search", "red fruit", "--section", "--neighbours", "1"))[0] == 2
    code, [similar] = await semantik("similar", "apple.txt", "-c", "papers", "--passage", "0")
    assert (code, [hit["name"] for hit in similar["hits"]]) == (0, ["pear.txt", "car.txt"])
    code, [similar] = await semantik("similar", "--text", "wheels of a vehicle", "-n", "1")
    assert (code, [hit["name"] for hit in similar["hits"]]) == (0, ["car.txt"])
    assert await semantik("similar", "nothing.txt", "-c", "papers") == (4, [])
    assert await semantik("similar") == (2, [])
    assert (await semantik("search", "fruit", "--rerank"))[0] == 1


async def test_a_query_is_completed_and_forgotten(semantik: Command, ada: Person, shelf: Path) -> None:
    """From what was asked and what there is; in named collections or all."""
    (shelf / "apple.md").write_text("# Apples\n\nAn apple is a red fruit.")
    await semantik("login", ada.user.username)
    await semantik("index", shelf, "--collection", "papers")
    await semantik("search", "apple tart")
    match = {"start": 0, "end": 4}
    texts = [("apple tart", "KIND_RECENT_QUERY"), ("Apples", "KIND_SECTION"), ("apple.md", "KIND_TITLE")]
    suggestions = [{"text": text, "kind": kind, "match": match} for text, kind in texts]
    assert await semantik("suggest", "APPL") == (0, [suggestions])
    assert await semantik("suggest", "appl", "-c", "papers", "--limit", "2") == (0, [suggestions[:2]])
    assert await semantik("suggest", "a", "-c", "nothing of this name") == (4, [])
    assert await semantik("suggest", "--forget") == (0, [{"forgotten": ""}])
    assert await semantik("suggest") == (0, [[]])


async def test_one_gateway_has_one_sign_in_however_it_is_written(semantik: Command, ada: Person, mesh: Mesh) -> None:
    """As a URL, by either name of this computer."""
    await semantik("login", ada.user.username)
    port = mesh.gateway.rpartition(":")[2]
    for address in (f"http://127.0.0.1:{port}", f"localhost:{port}", f"http://localhost:{port}/"):
        code, [user] = await semantik("whoami", "--address", address)
        assert (address, code, user["id"]) == (address, 0, ada.user.id)
    assert await semantik("whoami", "--address", "ftp://localhost") == (2, [])
    assert await semantik("whoami", "--address", "127.0.0.1:1") == (6, [])
