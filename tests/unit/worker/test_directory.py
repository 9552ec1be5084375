"""A directory is listed whole, and nothing outside it is ever opened."""

import asyncio
import hashlib
import json
import os
import socket
from pathlib import Path

import pytest

from services.collection.roots import Roots
from services.collection.worker.connectors.directory import DirectoryConnector
from services.collection.worker.connectors.entries import Entry, KnownText, UnreadableSourceError
from services.collection.worker.extraction.extracted import UnreadableError


async def _listed(root: Path, **config: object) -> dict[str, Entry]:
    return {entry.path: entry for entry in await _entries(DirectoryConnector(str(root), config, Roots([root])))}


async def _entries(connector: DirectoryConnector) -> list[Entry]:
    return [entry async for batch in connector.entries() for entry in batch]


async def _text(connector: DirectoryConnector, entry: Entry) -> str:
    async with connector.content(entry.locator) as content:
        return content.text if isinstance(content, KnownText) else os.read(content.descriptor, 1_000_000).decode()


async def test_files_are_listed_in_order_with_what_finds_them_again(tmp_path: Path) -> None:
    """What is hidden or made by tools is left out."""
    for name in ("b.txt", "a/c.md", ".git/config", "node_modules/x.js", ".env"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    found = await _listed(tmp_path)
    assert list(found) == ["a/c.md", "b.txt"]
    entry = found["b.txt"]
    assert (entry.uri, entry.name, entry.size_bytes) == ((tmp_path / "b.txt").as_uri(), "b.txt", 5)
    assert await DirectoryConnector(str(tmp_path), {}, Roots([tmp_path])).digest(entry) == hashlib.sha256(b"b.txt").hexdigest()
    assert list(await _listed(tmp_path, hidden=True)) == [".env", ".git/config", "a/c.md", "b.txt"]


async def test_globs_narrow_what_is_read(tmp_path: Path) -> None:
    """They match a name or a path; an excluded directory is not entered."""
    for name in ("keep.md", "keep.txt", "drafts/x.md", "docs/y.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(await _listed(tmp_path, include=["*.md"], exclude=["drafts"])) == ["docs/y.md", "keep.md"]


@pytest.mark.abuse(22)
async def test_what_leads_out_of_the_source_is_refused(tmp_path: Path) -> None:
    """Links, pipes and sockets are listed with a reason and never opened."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (root / "real.txt").write_text("real")
    (root / "inside.txt").symlink_to(root / "real.txt")
    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "dir").symlink_to(outside)
    (root / "loop").symlink_to(root / "loop")
    (root / "null").symlink_to("/dev/null")
    (root / "gone").symlink_to(root / "nothing")
    os.mkfifo(root / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "sock"))
        found = await _listed(root)
    assert {path: entry.refusal and entry.refusal[0] for path, entry in found.items()} == {
        "dir": "UNSAFE_PATH",
        "gone": "UNSAFE_PATH",
        "inside.txt": None,
        "loop": "UNSAFE_PATH",
        "null": "UNSAFE_PATH",
        "out.txt": "UNSAFE_PATH",
        "pipe.txt": "UNSAFE_PATH",
        "real.txt": None,
        "sock": "UNSAFE_PATH",
    }


@pytest.mark.abuse(34)
async def test_a_file_swapped_for_a_link_after_listing_is_not_followed(tmp_path: Path) -> None:
    """What was listed as a file is opened as a file or not at all."""
    root, secret = tmp_path / "root", tmp_path / "secret.txt"
    root.mkdir()
    secret.write_text("secret")
    (root / "a.txt").write_text("mine")
    entry = (await _listed(root))["a.txt"]
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to(secret)
    connector = DirectoryConnector(str(root), {}, Roots([root]))
    with pytest.raises(OSError, match="symbolic links"):
        await connector.digest(entry)
    with pytest.raises(UnreadableError, match="symbolic links"):
        await _text(connector, entry)


@pytest.mark.abuse(22)
@pytest.mark.parametrize("root", ["/proc", "/sys", "/dev"])
async def test_the_systems_own_directories_are_refused(root: str) -> None:
    """Even where the whole machine is allowed."""
    [entry] = await _entries(DirectoryConnector(root, {}, Roots([Path("/")])))
    assert entry.refusal == ("UNSAFE_PATH", "the path belongs to the system, not to documents")


@pytest.mark.abuse(34)
async def test_a_source_must_lie_under_the_allowed_roots_each_time(tmp_path: Path) -> None:
    """A link that took the place of the source since it was added changes nothing."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "allowed/docs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnreadableSourceError, match="outside"):
        await _entries(DirectoryConnector(str(tmp_path / "allowed/docs"), {}, Roots([tmp_path / "allowed"])))
    with pytest.raises(UnreadableSourceError, match="No such file"):
        await _entries(DirectoryConnector(str(tmp_path / "allowed/missing"), {}, Roots([tmp_path / "allowed"])))


@pytest.mark.abuse(21)
async def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 have no place in a database."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("x")
    [entry] = await _entries(DirectoryConnector(str(tmp_path), {}, Roots([tmp_path])))
    assert (entry.path, entry.refusal) == ("caf\\xe9.txt", ("UNREADABLE", "the name is not valid UTF-8"))


async def test_a_json_lines_file_lists_its_lines(tmp_path: Path) -> None:
    """One document a line, found again by its place; a bad line spoils only itself."""
    file = tmp_path / "corpus.jsonl"
    connector = DirectoryConnector(str(tmp_path), {}, Roots([tmp_path]))
    records = [
        {"_id": "1", "title": "Tides", "text": "The moon pulls."},
        {"_id": "2", "title": "Salt", "text": "Salt dissolves."},
        {"_id": 3, "text": "a\u0000b\ud800c"},
    ]
    file.write_text("\n".join([json.dumps(records[0]), "not json", json.dumps(records[1]), "", json.dumps(records[2])]))
    found = await _listed(tmp_path)
    assert {path: entry.refusal and entry.refusal[0] for path, entry in found.items()} == {
        "corpus.jsonl#1": None,
        "corpus.jsonl#line-2": "CORRUPT",
        "corpus.jsonl#2": None,
        "corpus.jsonl#3": None,
    }
    texts = {path: await _text(connector, entry) for path, entry in found.items() if not entry.refusal}
    assert texts == {"corpus.jsonl#1": "Tides The moon pulls.", "corpus.jsonl#2": "Salt dissolves.", "corpus.jsonl#3": "a b?c"}
    assert all(len(entry.sha256) == 64 for entry in found.values() if not entry.refusal)
    file.write_text(json.dumps({"_id": "9", "text": "another"}))
    with pytest.raises(UnreadableError, match="changed"):
        await _text(connector, found["corpus.jsonl#1"])


async def test_any_other_json_lines_file_is_one_document(tmp_path: Path) -> None:
    """Only the form with _id and text is taken apart."""
    (tmp_path / "log.jsonl").write_text('{"event": "start"}\n{"event": "stop"}\n')
    assert list(await _listed(tmp_path)) == ["log.jsonl"]


@pytest.mark.abuse(34)
async def test_a_folder_swapped_for_a_link_after_listing_is_not_followed(tmp_path: Path) -> None:
    """Every part of the way is opened as what it was, not only the last."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "docs", outside):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text(folder.name)
    entry = (await _listed(root))["docs/a.txt"]
    connector = DirectoryConnector(str(root), {}, Roots([root]))
    assert await _text(connector, entry) == "docs"
    (root / "docs").rename(root / "moved")
    (root / "docs").symlink_to(outside)
    with pytest.raises(OSError, match="Not a directory"):
        await connector.digest(entry)
    with pytest.raises(UnreadableError, match="Not a directory"):
        await _text(connector, entry)


@pytest.mark.abuse(38)
async def test_a_deep_tree_is_listed_as_far_as_its_paths_can_be_kept(tmp_path: Path) -> None:
    """A thousand folders in each other are no reason to give up on the others."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "z.txt").write_text("x")
    at = os.open(root, os.O_RDONLY)
    for depth in range(1_500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
        if depth == 500:
            os.close(os.open("deep.txt", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)
    try:
        entries = await _entries(DirectoryConnector(str(root), {}, Roots([root])))
    finally:
        await (await asyncio.create_subprocess_exec("rm", "-r", root)).wait()  # shutil gives up on it
    [refused] = [entry for entry in entries if entry.refusal]
    assert refused.refusal == ("UNSAFE_PATH", "the path is longer than 1500 bytes")
    assert (len(refused.uri), refused.name) == (1500, "d")
    assert {entry.name for entry in entries if not entry.refusal} == {"deep.txt", "z.txt"}


@pytest.mark.abuse(22)
@pytest.mark.parametrize("location", ["loop", "loop/below", "missing", "file/below"])
async def test_a_location_that_leads_nowhere_is_unreadable(tmp_path: Path, location: str) -> None:
    """A circle of links too."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnreadableSourceError, match="the source cannot be read"):
        await _entries(DirectoryConnector(str(tmp_path / location), {}, Roots([tmp_path])))


async def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    """Listed by its own name, read by its own path."""
    (tmp_path / "one.txt").write_text("one")
    os.mkfifo(tmp_path / "pipe")
    connector = DirectoryConnector(str(tmp_path / "one.txt"), {}, Roots([tmp_path]))
    [entry] = await _entries(connector)
    assert (entry.uri, entry.path, entry.size_bytes) == ((tmp_path / "one.txt").as_uri(), "one.txt", 3)
    assert (await _text(connector, entry), len(await connector.digest(entry))) == ("one", 64)
    [refused] = await _entries(DirectoryConnector(str(tmp_path / "pipe"), {}, Roots([tmp_path])))
    assert (refused.uri, refused.path, refused.refusal) == (
        (tmp_path / "pipe").as_uri(),
        "pipe",
        ("UNSAFE_PATH", "it is not a regular file"),
    )


async def test_a_time_that_no_calendar_has_is_taken_for_unknown(tmp_path: Path) -> None:
    """A file system can hold one."""
    (tmp_path / "a.txt").write_text("x")
    os.utime(tmp_path / "a.txt", (2**40, 2**40))
    [entry] = await _entries(DirectoryConnector(str(tmp_path), {}, Roots([tmp_path])))
    kept = (tmp_path / "a.txt").stat().st_mtime  # some file systems keep no such year either
    assert entry.modify_time.timestamp() == (0 if kept == 2**40 else kept)


async def test_what_was_listed_is_found_again_through_a_link(tmp_path: Path) -> None:
    """A link within the source is listed under its own name and opened where it leads."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.txt").write_text("real")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real/a.txt")
    connector = DirectoryConnector(str(tmp_path), {}, Roots([tmp_path]))
    entries = await _listed(tmp_path)
    assert entries["link.txt"].locator == {"kind": "file", "path": "real/a.txt"}
    assert await _text(connector, entries["link.txt"]) == "real"


@pytest.mark.parametrize("locator", [{}, {"kind": "object", "key": "x"}, {"file": "/etc/passwd"}])
async def test_a_locator_of_another_kind_is_refused(tmp_path: Path, locator: dict[str, str]) -> None:
    """Nothing is guessed from its keys."""
    with pytest.raises(UnreadableError, match="no content of kind"):
        async with DirectoryConnector(str(tmp_path), {}, Roots([tmp_path])).content(locator):
            pass
