"""Text comes out of every kind of file, and no file costs more than itself."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.collection.worker.extraction.child import File, Limits
from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.formats import code, extract, markdown
from services.collection.worker.extraction.pool import ExtractionPool
from tests.unit.worker.pdf import pdf


async def _read(pool: ExtractionPool, file: Path) -> Extracted:
    with file.open("rb") as opened:
        return await pool.extract(File(opened.fileno(), file.name))


def _file(directory: Path, name: str, content: bytes | str) -> Path:
    file = directory / name
    file.write_bytes(_bytes(content))
    return file


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


_GERMAN = "Ein schöner Käse für Frau Müller, größer als üblich."


@pytest.mark.parametrize(
    ("name", "content", "text", "mime_type"),
    [
        ("a.txt", "plain words\r\nhere", "plain words\nhere", "text/plain"),
        ("a.txt", b"\xef\xbb\xbfmarked", "marked", "text/plain"),
        ("a.txt", _GERMAN.encode("cp1252"), _GERMAN, "text/plain"),
        ("a.txt", "wide words".encode("utf-16"), "wide words", "text/plain"),
        ("a.txt", b"bell\x07 and\x1b escape", "bell  and  escape", "text/plain"),
        ("a.py", "x = 1", "x = 1", "text/x-python"),
        ("a.md", "# T\n\nwords", "# T\n\nwords", "text/markdown"),
        ("a.html", "<p>The <b>blue</b>\nwhale<p>swims", "The blue whale\n\nswims", "text/html"),
        ("a", "<!DOCTYPE html><title>x</title><body>found by content", "found by content", "text/html"),
        ("a.html", "<script>evil()</script><style>p{}</style>shown", "shown", "text/html"),
    ],
)  # fmt: skip
def test_text_is_read(name: str, content: bytes | str, text: str, mime_type: str) -> None:
    """By what the file holds first, by what it is called second."""
    found = extract(_bytes(content), name, "", 1000)
    assert (found.text, found.mime_type) == (text, mime_type)


@pytest.mark.parametrize(
    ("name", "content", "reason", "skip"),
    [
        ("a.txt", b"", "EMPTY", True),
        ("a.txt", b" \n\t ", "EMPTY", True),
        ("a.html", b"<html><body></body></html>", "EMPTY", True),
        ("a.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "UNSUPPORTED_TYPE", True),
        ("a.docx", b"PK\x03\x04\x14\x00\x00\x00", "UNSUPPORTED_TYPE", True),
        ("a.pdf", b"no pdf at all", "CORRUPT", False),
        ("a.pdf", b"%PDF-1.7 and then nothing", "CORRUPT", False),
    ],
)
def test_what_holds_no_text_is_refused_with_a_reason(name: str, content: bytes, reason: str, skip: bool) -> None:
    """Nothing to read is skipped; something broken has failed."""
    with pytest.raises(UnreadableError) as refused:
        extract(_bytes(content), name, "", 1000)
    assert (refused.value.reason, refused.value.skip) == (reason, skip)


_LOREM = "the quick brown fox jumps over the lazy dog and runs away "


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("archive.txt.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "a gzip archive, which is not read"),
        ("archive.txt", b"\x1f\x8b\x08\x08abcdefgh", "a gzip archive, which is not read"),
        ("a.docx", b"PK\x03\x04\x14\x00\x00\x00", "a Word document, which is not read yet"),
        ("a.zip", b"PK\x03\x04\x14\x00\x00\x00", "a ZIP archive, which is not read"),
        ("photo", b"\x89PNG\r\n\x1a\n\x00\x00", "a PNG image, which is not read"),
        ("clip.mp4", b"\x00\x00\x00\x20ftypisom", "an MP4 sound or video, which is not read"),
        ("mail.eml", "Subject: hello\n\nwords", "an e-mail message, which is not read yet"),
        ("mail.txt", "Received: from a\nMessage-ID: <b>\nFrom: c\n\nwords", "an e-mail message, which is not read yet"),
        ("inbox", "From a@b Mon Nov 30\nReceived: from a\n\nwords", "a mailbox, which is not read yet"),
        ("a.rtf", "{\\rtf1\\ansi words}", "a document in Rich Text Format, which is not read yet"),
        ("a.doc", "{\\rtf1\\ansi words}", "a document in Rich Text Format, which is not read yet"),
        ("a.ipynb", '{"cells": [], "nbformat": 4}', "a Jupyter notebook, which is not read yet"),
        ("a.svg", "<svg><path d='M0 0'/></svg>", "an SVG image, which is not read"),
        ("a.xml", '<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x"></svg>', "an SVG image, which is not read"),
        ("a.js.map", '{"version": 3, "mappings": "AAAA"}', "a source map, which is not read"),
        ("a.min.js", "var a=1;" * 400, "minified code, which is not read"),
        ("site.css", "/*! (c) */\n" + "a{b:c}" * 400, "minified code, which is not read"),
        ("yarn.lock", "# yarn lockfile v1", "a lock file, which is not read"),
        ("a.ps", "%!PS-Adobe-3.0", "a PostScript document, which is not read"),
    ],
)  # fmt: skip
def test_markup_that_no_extractor_reads_is_skipped_and_named(name: str, content: bytes | str, kind: str) -> None:
    """It is never indexed as the raw bytes; what it is goes by what it holds, then by its name."""
    with pytest.raises(UnreadableError) as refused:
        extract(_bytes(content), name, "", 1000)
    assert (refused.value.reason, str(refused.value), refused.value.skip) == ("UNSUPPORTED_TYPE", f"it is {kind}", True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.js", "function words() { return 'here'; }\n" * 100),
        ("letter.txt", "From: me\nTo: you\n\nDear you, words."),
        ("roads.map", "A map of the words."),
        ("notes.txt", "MZ is how programs begin. BM and PK are words too."),
        ("a.json", '{"words": "' + _LOREM * 200 + '"}'),
        ("README.md", "# Use <svg> words"),
        ("words.txt", "words without a mark".encode("utf-16-le")),
    ],
)  # fmt: skip
def test_text_that_resembles_what_is_not_read_is_read(name: str, content: bytes | str) -> None:
    """A few letters at the beginning prove nothing."""
    assert "words" in extract(_bytes(content), name, "", 100_000).text


def test_a_long_text_is_cut_and_says_so() -> None:
    """The limit is in characters."""
    found = extract(_bytes("é" * 20), "a.txt", "", 10)
    assert (found.text, found.is_truncated) == ("é" * 10, True)


def test_html_headings_know_where_they_stand() -> None:
    """Sections follow from them."""
    found = extract(_bytes("<h1>First <i>one</i></h1><p>words</p><h2></h2><h2>Second</h2>more"), "a.html", "", 1000)
    assert found.text == "First one\n\nwords\n\nSecond\n\nmore"
    assert found.landmarks.headings == [(0, "First one"), (found.text.index("Second"), "Second")]


def test_pdf_pages_know_where_they_begin() -> None:
    """Page numbers follow from them."""
    found = extract(pdf("First page", "Second page"), "a.pdf", "", 1000)
    assert [found.text[start:].split("\n")[0] for start in found.landmarks.pages] == ["First page", "Second page"]


def test_markdown_headings_are_found_outside_of_listings() -> None:
    """Both spellings; a comment in a listing is none."""
    text = "# One #\n\n```sh\n# no heading\n```\n\nTwo\n===\n\n####### seven\n#no\n   ## Three"
    found = markdown.landmarks(text)
    assert [title for _, title in found.headings] == ["One", "Two", "Three"]
    assert [text[start:][:3] for start in found.breaks] == ["# O", "Two", "   "]
    assert [text[start:end] for start, end in found.blocks] == ["```sh\n# no heading\n```"]


@pytest.mark.abuse(26)
@pytest.mark.parametrize("line", ["# " * 500_000, "# a" + " " * 1_000_000 + "x", "\n" * 1_000_000, "#" * 1_000_000])
def test_no_line_takes_the_structure_long(line: str) -> None:
    """Each is read once: a square of a million would never end."""
    markdown.landmarks(line)
    code.landmarks(line)


@pytest.fixture
async def pool() -> AsyncIterator[ExtractionPool]:
    async with ExtractionPool(2, Limits(3.0, 512, 100_000)) as opened:
        yield opened


async def test_children_read_files_side_by_side(pool: ExtractionPool, tmp_path: Path) -> None:
    """What a child answers is what the reader found."""
    files = [_file(tmp_path, f"{number}.md", f"# Title {number}\n\nwords") for number in range(8)]
    found = await asyncio.gather(*(_read(pool, file) for file in files))
    assert [each.landmarks.headings for each in found] == [[(0, f"Title {number}")] for number in range(8)]
    assert len(pool._resting) == 2


@pytest.mark.abuse(26)
async def test_a_file_that_hangs_or_swells_costs_only_itself(pool: ExtractionPool, tmp_path: Path) -> None:
    """The child is killed, the next file gets a new one."""
    hangs = _file(tmp_path, "deep.html", "<div>" * 400_000 + "x")
    swells = tmp_path / "large.txt"
    with swells.open("wb") as file:
        file.write(b"words ")
        file.truncate(600 * 1024 * 1024)
    fine = _file(tmp_path, "fine.txt", "words")
    results = await asyncio.gather(*(_read(pool, file) for file in (hangs, swells, fine)), return_exceptions=True)
    assert [getattr(each, "reason", None) or each.text for each in results] == ["TOO_COSTLY", "TOO_COSTLY", "words"]  # type: ignore[union-attr]


@pytest.mark.abuse(33)
async def test_a_child_has_none_of_our_secrets(pool: ExtractionPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parser that is taken over finds no credentials in its environment."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    file = _file(tmp_path, "a.txt", "words")
    await _read(pool, file)
    [reader] = pool._resting
    assert b"secret" not in Path(f"/proc/{reader.pid}/environ").read_bytes()


def test_after_the_preload_nothing_is_opened_again() -> None:
    """Whatever the version of Python: where nobody may read the interpreter, a module that a format imports late is not to be had."""
    command = [sys.executable, "-P", "-m", "tests.unit.worker.unopened"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    texts = json.loads(done.stdout)
    assert len(texts) == 9
    assert "the second page" in texts["paper.pdf"]
