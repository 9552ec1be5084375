"""A directory is listed whole, and nothing outside it is ever opened."""

import hashlib
import json
import os
import socket
from pathlib import Path

import pytest

from services.collection.worker.connectors import directory, lines
from services.collection.worker.connectors.directory import UnreadableSourceError
from services.collection.worker.connectors.entries import Entry, entry_sha256


def _listed(root: Path, **options: object) -> dict[str, Entry]:
    return {entry.path: entry for entry in directory.entries(str(root), options, [root])}


def test_files_are_listed_in_order_with_what_finds_them_again(tmp_path: Path) -> None:
    """What is hidden or made by tools is left out."""
    for name in ("b.txt", "a/c.md", ".git/config", "node_modules/x.js", ".env"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(name)
    found = _listed(tmp_path)
    assert list(found) == ["a/c.md", "b.txt"]
    entry = found["b.txt"]
    assert (entry.uri, entry.name, entry.size_bytes) == ((tmp_path / "b.txt").as_uri(), "b.txt", 5)
    assert entry_sha256(entry) == hashlib.sha256(b"b.txt").hexdigest()
    assert list(_listed(tmp_path, hidden=True)) == [".env", ".git/config", "a/c.md", "b.txt"]


def test_globs_narrow_what_is_read(tmp_path: Path) -> None:
    """They match a name or a path; an excluded directory is not entered."""
    for name in ("keep.md", "keep.txt", "drafts/x.md", "docs/y.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert list(_listed(tmp_path, include=["*.md"], exclude=["drafts"])) == ["docs/y.md", "keep.md"]


def test_what_leads_out_of_the_source_is_refused(tmp_path: Path) -> None:
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
    os.mkfifo(root / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "sock"))
        found = _listed(root)
    assert {path: entry.refusal and entry.refusal[0] for path, entry in found.items()} == {
        "dir": "UNSAFE_PATH",
        "inside.txt": None,
        "loop": "UNREADABLE",
        "null": "UNSAFE_PATH",
        "out.txt": "UNSAFE_PATH",
        "pipe.txt": "UNSAFE_PATH",
        "real.txt": None,
        "sock": "UNSAFE_PATH",
    }


def test_a_file_swapped_for_a_link_after_listing_is_not_followed(tmp_path: Path) -> None:
    """What was listed as a file is opened as a file or not at all."""
    root, secret = tmp_path / "root", tmp_path / "secret.txt"
    root.mkdir()
    secret.write_text("secret")
    (root / "a.txt").write_text("mine")
    entry = _listed(root)["a.txt"]
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        entry_sha256(entry)


@pytest.mark.parametrize("root", ["/proc", "/sys", "/dev"])
def test_the_systems_own_directories_are_refused(root: str) -> None:
    """Even where the whole machine is allowed."""
    [entry] = directory.entries(root, {}, [Path("/")])
    assert entry.refusal == ("UNSAFE_PATH", "it belongs to the system, not to documents")


def test_a_source_must_lie_under_the_allowed_roots_each_time(tmp_path: Path) -> None:
    """A link that took the place of the source since it was added changes nothing."""
    (tmp_path / "allowed").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "allowed/docs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnreadableSourceError, match="outside"):
        list(directory.entries(str(tmp_path / "allowed/docs"), {}, [tmp_path / "allowed"]))
    with pytest.raises(UnreadableSourceError, match="No such file"):
        list(directory.entries(str(tmp_path / "allowed/missing"), {}, [tmp_path / "allowed"]))


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 have no place in a database."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")).write_text("x")
    [entry] = directory.entries(str(tmp_path), {}, [tmp_path])
    assert (entry.path, entry.refusal) == ("caf\\udce9.txt", ("UNREADABLE", "its name is no text"))


def test_a_json_lines_file_lists_its_lines(tmp_path: Path) -> None:
    """One document a line, found again by its place; a bad line spoils only itself."""
    file = tmp_path / "corpus.jsonl"
    records = [
        {"_id": "1", "title": "Tides", "text": "The moon pulls."},
        {"_id": "2", "title": "Salt", "text": "Salt dissolves."},
        {"_id": 3, "text": "a\u0000b\ud800c"},
    ]
    file.write_text("\n".join([json.dumps(records[0]), "not json", json.dumps(records[1]), "", json.dumps(records[2])]))
    found = _listed(tmp_path)
    assert {path: entry.refusal and entry.refusal[0] for path, entry in found.items()} == {
        "corpus.jsonl#1": None,
        "corpus.jsonl#line-2": "CORRUPT",
        "corpus.jsonl#2": None,
        "corpus.jsonl#3": None,
    }
    texts = {path: lines.text(entry.content) for path, entry in found.items() if not entry.refusal}
    assert texts == {"corpus.jsonl#1": "Tides The moon pulls.", "corpus.jsonl#2": "Salt dissolves.", "corpus.jsonl#3": "a b?c"}
    assert all(len(entry_sha256(entry)) == 64 for entry in found.values() if not entry.refusal)
    file.write_text(json.dumps({"_id": "9", "text": "another"}))
    with pytest.raises(ValueError, match="changed"):
        lines.text(found["corpus.jsonl#1"].content)


def test_any_other_json_lines_file_is_one_document(tmp_path: Path) -> None:
    """Only the form with _id and text is taken apart."""
    (tmp_path / "log.jsonl").write_text('{"event": "start"}\n{"event": "stop"}\n')
    assert list(_listed(tmp_path)) == ["log.jsonl"]
