"""Who may index in place what: anybody below the allowed roots, the operator what the account can read, nobody the mesh itself."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from deploy.local.supervisor import Mesh
from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.document_pb2 import Document
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import PASSWORD, Person
from tests.e2e.conftest import started


@pytest.fixture
def capability(mesh: Mesh) -> str:
    return (mesh.home.keys / "operator").read_text()


async def _refused(person: Person, collection: Collection, path: Path, capability: str) -> None:
    with pytest.raises(SemantikError) as caught:
        await person.client.sources.add(collection.id, str(path), operator_capability=capability)
    assert (caught.value.code, caught.value.reason) == ("PERMISSION_DENIED", "PATH_NOT_ALLOWED")


@pytest.mark.abuse(22, 33)
async def test_nobody_adds_what_belongs_to_the_mesh(mesh: Mesh, ada: Person, collection: Collection, shelf: Path, capability: str) -> None:
    """Keys, logs, sockets, other people's objects, the database: not even its operator, however the path is written."""
    home = mesh.home
    (shelf / "door").symlink_to(home.path)
    paths = [home.path, home.keys, home.keys / "mesh.pem", home.keys / "signing", home.logs, home.objects, home.run, home.postgres]
    paths += [home.keys / ".." / "keys", shelf / "door", shelf / "door" / "keys", Path(f"/proc/{os.getpid()}/cwd")]
    for path in paths:
        for given in ("", capability):
            await _refused(ada, collection, path, given)


@pytest.mark.abuse(22, 40)
async def test_the_operator_indexes_in_place_and_others_do_not(
    ada: Person, stranger: Person, collection: Collection, tmp_path: Path, capability: str
) -> None:
    """The proof is a secret of the data directory; such a source is read again without it, and nobody else adds the folder."""
    (tmp_path / "a.txt").write_text("mine")
    for given in ("", "x", capability[:-1], capability + "x", capability.swapcase()):
        await _refused(ada, collection, tmp_path, given)
    source, operation = await ada.client.sources.add(collection.id, str(tmp_path), operator_capability=capability)
    ended = await ada.client.operations.wait(operation.id)
    assert (ended.state, ended.progress.documents_indexed) == (Operation.STATE_SUCCEEDED, 1)
    assert source.directory.path == str(tmp_path)
    (tmp_path / "b.txt").write_text("more")
    again = await ada.client.operations.wait((await ada.client.sources.sync(source.id)).id)
    assert (again.state, again.progress.documents_indexed) == (Operation.STATE_SUCCEEDED, 1)
    own = await stranger.client.collections.create("own")
    await _refused(stranger, own, tmp_path, "")


@pytest.mark.abuse(33)
async def test_secrets_are_left_out_unless_a_source_asks_for_them(ada: Person, collection: Collection, shelf: Path) -> None:
    """By name, by folder and by content, each with its reason."""
    (shelf / ".ssh").mkdir()
    (shelf / ".ssh" / "notes.txt").write_text("how to connect")
    (shelf / "server.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIE")
    (shelf / "innocent.txt").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA")
    (shelf / "about.txt").write_text("A key file begins with -----BEGIN OPENSSH PRIVATE KEY-----")
    (shelf / "link.txt").symlink_to(shelf / ".ssh" / "notes.txt")
    _, operation = await ada.client.sources.add(collection.id, str(shelf), hidden=True)
    await ada.client.operations.wait(operation.id)
    found = {each.path: (each.state, each.reason) async for each in ada.client.documents.list(collection.id)}
    secret = (Document.STATE_SKIPPED, Document.REASON_SECRET)
    indexed = (Document.STATE_INDEXED, Document.REASON_UNSPECIFIED)
    assert found == {".ssh": secret, "server.pem": secret, "innocent.txt": secret, "link.txt": secret, "about.txt": indexed}
    other = await ada.client.collections.create("secrets")
    _, operation = await ada.client.sources.add(other.id, str(shelf), hidden=True, secrets=True)
    await ada.client.operations.wait(operation.id)
    read = {each.path async for each in ada.client.documents.list(other.id) if each.state == Document.STATE_INDEXED}
    assert read >= {".ssh/notes.txt", "innocent.txt", "about.txt"}


async def test_the_command_proves_it_to_its_own_mesh_only(mesh: Mesh, ada: Person, tmp_path: Path) -> None:
    """Without the data directory of the mesh, or for another address, files are uploaded."""
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.txt").write_text("mine")
    environment = {
        "SEMANTIK_ADDRESS": mesh.gateway.removeprefix("http://"),
        "SEMANTIK_CONFIG_DIR": str(tmp_path),
        "SEMANTIK_PASSWORD": PASSWORD,
    }
    await (await started("login", ada.user.username, "--json", **environment)).communicate()
    kinds = {}
    for name, data in (("own", mesh.home.path), ("other", tmp_path)):
        process = await started(
            "index", tmp_path / "papers", "-c", name, "--json", **environment, SEMANTIK_DATA_DIR=str(data), XDG_DATA_HOME=str(tmp_path)
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert json.loads(output.splitlines()[-1])["state"] == "STATE_SUCCEEDED"
        [source] = [each async for each in ada.client.sources.list((await ada.client.collections.named(name)).id)]
        kinds[name] = source.location
    assert kinds == {"own": str(tmp_path / "papers"), "other": "upload"}
