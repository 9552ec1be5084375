"""The mesh never reads itself: whatever the roots allow, and whatever path, link or mount leads there."""

import os
from pathlib import Path

import pytest

from libs.rpc.errors import Failure
from services.collection.roots import Roots, resolve_allowed
from services.collection.worker.connectors.directory import DirectoryConnector
from services.collection.worker.connectors.entries import Entry, UnreadableSourceError
from services.collection.worker.extraction.extracted import UnreadableError

_OWN = ("UNSAFE_PATH", "it belongs to Semantik itself")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A person's home with a mesh in it, and papers beside."""
    keys = tmp_path / "home/share/semantik/keys"
    keys.mkdir(parents=True)
    (keys / "mesh.pem.txt").write_text("the mesh's key")
    (tmp_path / "home/papers").mkdir()
    (tmp_path / "home/papers/a.txt").write_text("mine")
    return tmp_path / "home"


def _roots(home: Path) -> Roots:
    return Roots([home], [home / "share/semantik"])


async def _entries(home: Path, location: str = "", **config: object) -> dict[str, Entry]:
    connector = DirectoryConnector(str(home / location), config, _roots(home))
    return {entry.path: entry async for batch in connector.entries() for entry in batch}


@pytest.mark.abuse(33)
async def test_a_source_around_the_mesh_leaves_it_out(home: Path) -> None:
    """With a reason, and everything else is there."""
    listed = await _entries(home)
    assert {path: entry.refusal for path, entry in listed.items()} == {"papers/a.txt": None, "share/semantik": _OWN}


@pytest.mark.abuse(33)
@pytest.mark.parametrize("below", ["", "/", "/keys", "/keys/mesh.pem.txt", "/keys/../keys", "/./keys", "/../semantik/keys"])
@pytest.mark.parametrize("anywhere", [False, True])
async def test_no_source_lies_in_the_mesh(home: Path, below: str, *, anywhere: bool) -> None:
    """Neither for a stranger nor for the operator, when it is added or read, straight or through a link."""
    roots = _roots(home).anywhere() if anywhere else _roots(home)
    (home / "door").symlink_to(home / "share/semantik")
    for path in (f"{home}/share/semantik{below}", f"{home}/door{below}"):
        with pytest.raises(Failure, match="outside"):
            resolve_allowed(path, roots)
        if Path(path).exists():
            with pytest.raises(UnreadableSourceError, match="outside"):
                await _entries(home, path, anywhere=anywhere)


@pytest.mark.abuse(33, 34)
async def test_a_folder_that_becomes_the_mesh_after_listing_is_not_read(home: Path) -> None:
    """Its name says papers; the system says which folder it is."""
    (home / "papers/keys").mkdir()
    (home / "papers/keys/mesh.pem.txt").write_text("harmless")
    entry = (await _entries(home))["papers/keys/mesh.pem.txt"]
    connector = DirectoryConnector(str(home), {}, _roots(home))
    (home / "papers").rename(home / "before")
    (home / "share/semantik").rename(home / "papers")
    (home / "share/semantik").mkdir()  # what is there by now is not the mesh that was looked at
    roots = Roots([home], [home / "papers"])
    connector = DirectoryConnector(str(home), {}, roots)
    with pytest.raises(OSError, match="Semantik itself"):
        await connector.digest(entry)
    with pytest.raises(UnreadableError):
        async with connector.content(entry.locator):
            pass


@pytest.mark.abuse(33)
async def test_another_name_of_a_key_is_the_key(home: Path) -> None:
    """A hard link is the file itself; another file with two names is read."""
    os.link(home / "share/semantik/keys/mesh.pem.txt", home / "papers/b.txt")
    (home / "papers/c.txt").write_text("twice")
    os.link(home / "papers/c.txt", home / "papers/d.txt")
    listed = await _entries(home, "papers")
    connector = DirectoryConnector(str(home / "papers"), {}, _roots(home))
    with pytest.raises(OSError, match="Semantik itself"):
        await connector.digest(listed["b.txt"])
    with pytest.raises(UnreadableError):
        async with connector.content(listed["b.txt"].locator):
            pass
    assert await connector.digest(listed["c.txt"]) == await connector.digest(listed["d.txt"])


@pytest.mark.abuse(33)
async def test_a_link_to_a_key_is_not_followed(home: Path) -> None:
    """Inside the source as well."""
    (home / "papers/key.txt").symlink_to(home / "share/semantik/keys/mesh.pem.txt")
    entry = (await _entries(home))["papers/key.txt"]
    connector = DirectoryConnector(str(home), {}, _roots(home))
    with pytest.raises(OSError, match="Semantik itself"):
        await connector.digest(entry)
