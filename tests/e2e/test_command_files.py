"""Files at the command line: what is taken, what failed, what changes on a second run, and what comes back."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from deploy.local.supervisor import Mesh
from tests.conftest import PASSWORD, Person, Publish
from tests.e2e.conftest import Command, started

_PTY = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
Shown = Callable[..., Awaitable[tuple[int, str]]]


def _environment(mesh: Mesh, tmp_path: Path) -> dict[str, str]:
    return {
        "SEMANTIK_ADDRESS": mesh.gateway.removeprefix("http://"),
        "SEMANTIK_CONFIG_DIR": str(tmp_path),
        "SEMANTIK_PASSWORD": PASSWORD,
        "COLUMNS": "80",
    }


@pytest.fixture
async def shown(mesh: Mesh, tmp_path: Path, semantik: Command, ada: Person) -> Shown:
    """Run a command as ada; return its exit code and what a person sees in 80 columns."""
    assert (await semantik("login", ada.user.username))[0] == 0
    environment = _environment(mesh, tmp_path)

    async def run(*arguments: str | Path) -> tuple[int, str]:
        process = await started(*arguments, **environment)
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    return run


async def test_a_name_that_others_made_public_is_still_free(
    shown: Shown, ada: Person, stranger: Person, publish: Publish, shelf: Path
) -> None:
    """Nobody takes a name away: what may only be read is not indexed into."""
    theirs = await stranger.client.collections.create("papers")
    await publish(stranger, theirs.id)
    (shelf / "a.txt").write_text("The treasure lies under an oak.")
    code, _ = await shown("index", shelf, "-c", "papers")
    assert code == 0
    assert [each.owner_id async for each in ada.client.collections.list("papers", owned_only=True)] == [ada.user.id]


async def test_metadata_is_noted_shown_and_counted(shown: Shown, shelf: Path) -> None:
    """With `index`, which uploads then, and later with `documents update`."""
    (shelf / "a.txt").write_text("The treasure lies under an oak.")
    assert (await shown("index", shelf, "-c", "papers", "--metadata", "author=Ada", "--metadata", "year=2020"))[0] == 0
    code, text = await shown("documents", "update", "a.txt", "-c", "papers", "--metadata", "year=2021", "--remove", "author")
    assert (code, text) == (0, "year=2021\n")
    code, text = await shown("search", "treasure", "-c", "papers", "-f", "meta.year:2021", "--count", "meta.year", "--count", "ext")
    lines = [line.split() for line in text.splitlines()]
    assert (code, ["year=2021"] in lines) == (0, True)
    assert [line for line in lines if len(line) == 2][:4] == [["EXT", "PASSAGES"], ["txt", "1"], ["META.YEAR", "PASSAGES"], ["2021", "1"]]
    assert (await shown("search", "treasure", "-c", "papers", "--count", "colour"))[0] == 2


async def test_what_failed_is_named_and_the_exit_code_says_it(shown: Shown, shelf: Path) -> None:
    """With the command that names them all; as long as it fails."""
    (shelf / "a.txt").write_text("words")
    (shelf / "b.txt").write_text("words")
    (shelf / "broken.pdf").write_text("no pdf")
    (shelf / "mail.eml").write_text("Subject: x\n\nwords")
    code, text = await shown("index", shelf, "-c", "papers")
    lines = text.splitlines()
    assert (code, lines[1:]) == (
        1,
        [
            "1 file failed:",
            "  broken.pdf: the file is named .pdf but is not a PDF",
            "2 files skipped: 1 duplicate, 1 unsupported type.",
            "See them all: semantik documents list -c papers --state failed --state skipped",
        ],
    )
    code, text = await shown("documents", "list", "-c", "papers", "--state", "failed", "--state", "skipped")
    words = [line.strip() for line in text.splitlines()]
    assert (code, words[2::2]) == (
        0,
        [
            "the same bytes as a.txt",
            "the file is named .pdf but is not a PDF",
            "it is an e-mail message, which is not read yet",
        ],
    )
    listed = (await shown("collections", "list"))[1]
    assert "degraded (some documents failed)" in listed
    assert "The documents that failed: semantik documents list -c papers --state failed" in listed
    (shelf / "broken.pdf").unlink()
    assert (await shown("index", shelf, "-c", "papers"))[0] == 0


async def test_other_options_on_a_second_run_take_effect(semantik: Command, shown: Shown, shelf: Path) -> None:
    """None named keeps those of the first; `sources` shows and changes them too, and removes what came from there."""
    for name in ("a.md", "b.py", "c.txt"):
        (shelf / name).write_text(f"words of {name}")

    async def paths() -> list[str]:
        _, [documents] = await semantik("documents", "list", "-c", "code")
        return [document["path"] for document in documents]

    assert (await semantik("index", shelf, "-c", "code", "--include", "*.md"))[0] == 0
    assert await paths() == ["a.md"]
    code, states = await semantik("index", shelf, "-c", "code", "--include", "*.py")
    assert (code, states[-1]["progress"]["documentsRemoved"], await paths()) == (0, "1", ["b.py"])
    assert (await semantik("index", shelf, "-c", "code"))[0] == 0
    assert await paths() == ["b.py"]
    assert (await semantik("sources", "update", shelf.name, "-c", "code", "--include", "*", "--exclude", "*.py"))[0] == 0
    assert await paths() == ["a.md", "c.txt"]
    _, [[source]] = await semantik("sources", "list", "-c", "code")
    assert (source["directory"]["include"], source["directory"]["exclude"], source["documentCount"]) == ([], ["*.py"], "2")
    assert await semantik("sources", "show", shelf, "-c", "code") == (0, [source])
    assert "--exclude '*.py'" in (await shown("sources", "show", source["id"]))[1]
    assert (await semantik("sources", "sync", shelf, "-c", "code"))[0] == 0
    assert (await semantik("sources", "show", "nowhere", "-c", "code"))[0] == 4
    assert (await semantik("sources", "remove", shelf.name, "-c", "code"))[0] == 0
    assert (await paths(), await semantik("sources", "list", "-c", "code")) == ([], (0, [[]]))


async def test_a_deleted_file_comes_back_when_it_is_named(semantik: Command, shown: Shown, shelf: Path) -> None:
    """Itself, or its document; not with its folder. What cannot come back is named."""
    for name in ("a.txt", "b.txt"):
        (shelf / name).write_text(f"words of {name}")
    await semantik("index", shelf, "-c", "back")

    async def states(state: str) -> list[str]:
        _, [documents] = await semantik("documents", "list", "-c", "back", "--state", state)
        return [document["path"] for document in documents]

    assert (await semantik("documents", "delete", "a.txt", "b.txt", "-c", "back"))[0] == 0
    assert await states("deleted") == ["a.txt", "b.txt"]
    assert (await semantik("index", shelf, "-c", "back"))[0] == 0
    assert await states("indexed") == []
    assert (await semantik("index", shelf / "a.txt", "-c", "back"))[0] == 0
    assert (await states("indexed"), await states("deleted")) == (["a.txt"], ["b.txt"])
    code, text = await shown("documents", "undelete", "b.txt", "-c", "back")
    assert (code, text.splitlines()[-1]) == (0, "b.txt: indexed.")
    await semantik("documents", "delete", "b.txt", "-c", "back")
    (shelf / "b.txt").unlink()
    assert (await semantik("documents", "undelete", "b.txt", "-c", "back"))[0] == 1
    assert (await states("indexed"), await states("deleted")) == (["a.txt"], [])
    assert (await semantik("documents", "undelete", "b.txt", "-c", "back"))[0] == 4


async def test_an_upload_leaves_out_what_a_source_would(semantik: Command, shown: Shown, tmp_path: Path) -> None:
    """And an upload of the name of what was deleted brings it back."""
    folder = tmp_path / "outside"
    for name in ("a.txt", "build/b.txt", "node_modules/c.txt", "id_rsa", "d.log", ".gitignore"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("build/\n" if name == ".gitignore" else f"words of {name}")
    code, _ = await semantik("index", folder, "-c", "up", "--exclude", "*.log")
    _, [documents] = await semantik("documents", "list", "-c", "up")
    assert (code, [document["path"] for document in documents]) == (0, ["a.txt"])
    _, [deletion] = await semantik("documents", "delete", "a.txt", "-c", "up")
    assert (await semantik("operations", "watch", deletion["id"]))[0] == 0
    assert (await shown("documents", "undelete", "a.txt", "-c", "up"))[0] == 1
    code, states = await semantik("index", folder / "a.txt", "-c", "up")
    assert (code, states[-1]["progress"]["documentsIndexed"]) == (0, "1")


async def test_other_options_remove_what_was_uploaded_before(semantik: Command, shown: Shown, tmp_path: Path) -> None:
    """As they do of a source; without options, and of what lies elsewhere or has changed, nothing is removed."""
    folder, other = tmp_path / "folder", tmp_path / "other"
    for name in ("folder/a.txt", "folder/b.md", "folder/c.log", "other/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"words of {name}")

    async def paths() -> list[str]:
        _, [documents] = await semantik("documents", "list", "-c", "narrowed")
        return [document["path"] for document in documents]

    for each in (folder, other):
        await semantik("index", each, "-c", "narrowed")
    assert await paths() == ["a.txt", "b.md", "c.log", "d.txt"]
    (folder / "c.log").write_text("other words than were uploaded")
    assert (await shown("index", folder, "-c", "narrowed", "--include", "*.md"))[0] == 0
    assert await paths() == ["b.md", "c.log", "d.txt"]
    (folder / "b.md").unlink()
    await semantik("index", folder, "-c", "narrowed")
    assert await paths() == ["a.txt", "b.md", "c.log", "d.txt"]


async def test_a_delete_asks_on_a_terminal(semantik: Command, ada: Person, shelf: Path, mesh: Mesh, tmp_path: Path) -> None:
    """A no leaves the document."""
    (shelf / "a.txt").write_text("words")
    await semantik("login", ada.user.username)
    await semantik("index", shelf, "-c", "asks")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PTY, sys.executable, "-P", "-m", "semantik.command", "documents", "delete", "a.txt", "-c", "asks"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **_environment(mesh, tmp_path)},
    )
    output, _ = await process.communicate(b"n\n")
    assert "Delete 'a.txt'? [y/N]:" in output.decode()
    assert process.returncode == 1
    _, [[document]] = await semantik("documents", "list", "-c", "asks")
    assert document["state"] == "STATE_INDEXED"
