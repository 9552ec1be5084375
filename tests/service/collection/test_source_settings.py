"""What of a directory is indexed follows its source's settings, also when they change."""

from pathlib import Path

import pytest

from deploy.local.supervisor import Mesh
from semantik.client import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.collection.v1.source_pb2 import DirectoryConfig
from semantik.operation.v1.operation_pb2 import Operation
from tests.conftest import Person


async def _paths(person: Person, collection: Collection) -> list[str]:
    return [document.path async for document in person.client.documents.list(collection.id)]


async def test_other_settings_take_effect(ada: Person, collection: Collection, shelf: Path) -> None:
    """What no longer matches is removed and counted, what matches now is added, and the counters hold."""
    for name in ("a.md", "b.md", "c.py", "build/d.md"):
        (shelf / name).parent.mkdir(exist_ok=True)
        (shelf / name).write_text(f"The text of {name}.")
    (shelf / ".gitignore").write_text("build/\n")
    source, operation = await ada.client.sources.add(collection.id, str(shelf), include=["*.md"])
    await ada.client.operations.wait(operation.id)
    assert await _paths(ada, collection) == ["a.md", "b.md"]
    wanted = DirectoryConfig(path=str(shelf), include=["*.py", "build/"], ignored=True)
    changed, operation = await ada.client.sources.update(source.id, wanted)
    assert (changed.directory, changed.id, operation.kind) == (wanted, source.id, Operation.KIND_SYNC)
    ended = (await ada.client.operations.wait(operation.id)).progress
    assert (ended.documents_indexed, ended.documents_removed) == (2, 2)
    assert await _paths(ada, collection) == ["build/d.md", "c.py"]
    now = await ada.client.sources.get(source.id)
    counted = await ada.client.collections.get(collection.id)
    assert (now.directory, now.document_count, counted.document_count) == (wanted, 2, 2)
    hits = (await ada.client.search("text of a.md", [collection.id], mode="keyword")).hits
    assert {hit.path for hit in hits} == {"build/d.md", "c.py"}


async def test_a_source_stays_where_it_is(ada: Person, collection: Collection, shelf: Path) -> None:
    """Another path is another source; the same request changes the settings once."""
    (shelf / "a.md").write_text("text")
    source, operation = await ada.client.sources.add(collection.id, str(shelf))
    with pytest.raises(SemantikError) as caught:
        await ada.client.sources.update(source.id, DirectoryConfig(path=str(shelf.parent)))
    assert (caught.value.code, caught.value.field) == ("INVALID_ARGUMENT", "config")
    config = DirectoryConfig(path=str(shelf), exclude=["*.py"])
    first, second = [await ada.client.sources.update(source.id, config, request_id="once") for _ in range(2)]
    assert first[1].id == second[1].id
    with pytest.raises(SemantikError) as caught:
        await ada.client.sources.update(source.id, DirectoryConfig(path=str(shelf)), request_id="once")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    await ada.client.operations.wait(operation.id)


@pytest.mark.abuse(22)
async def test_only_the_operator_changes_what_lies_outside_the_allowed_roots(
    mesh: Mesh, ada: Person, stranger: Person, collection: Collection, tmp_path: Path
) -> None:
    """Who may write to the collection reads no secrets of the account that runs the mesh by it."""
    (tmp_path / "id_rsa").write_text("key")
    capability = (mesh.home.path / "keys/operator").read_text().strip()
    source, operation = await ada.client.sources.add(collection.id, str(tmp_path), operator_capability=capability)
    await ada.client.operations.wait(operation.id)
    config = DirectoryConfig(path=str(tmp_path), exclude=["*.log"])
    with pytest.raises(SemantikError) as caught:
        await ada.client.sources.update(source.id, config)
    assert caught.value.reason == "PATH_NOT_ALLOWED"
    with pytest.raises(SemantikError) as caught:
        await stranger.client.sources.update(source.id, config, operator_capability=capability)
    assert caught.value.reason == "SOURCE_NOT_FOUND"
    changed, operation = await ada.client.sources.update(source.id, config, operator_capability=capability)
    assert list(changed.directory.exclude) == ["*.log"]
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
