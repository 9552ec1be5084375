"""Reads text out of files. Runs in a child process that may die of a bad file, alone."""

import mimetypes
import os
import re
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from services.collection.worker.extraction import structure

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_SNIFF_BYTES = 8192
_MARKDOWN = {".md", ".markdown", ".mdx"}
_HTML = {".html", ".htm", ".xhtml"}
_CODE = {
    ".py", ".pyi", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".go", ".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".rb",
    ".php", ".swift", ".scala", ".sh", ".bash", ".sql", ".proto", ".lua", ".r", ".pl", ".css", ".scss", ".vue", ".mk", ".toml", ".yaml",
    ".yml", ".ini", ".cfg", ".json", ".xml", ".tf", ".gradle", ".dockerfile",
}  # fmt: skip
_CODE_NAMES = {"makefile", "dockerfile", "license", "readme", "changelog"}


class UnreadableError(Exception):
    """A file that yields no text; ``reason`` is one of the contract's document reasons, ``skip`` tells it from a failure."""

    def __init__(self, reason: str, message: str, *, skip: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.skip = skip


@dataclass
class Extracted:
    """A file's text with what is known of it; offsets are in characters of ``text``."""

    text: str
    mime_type: str
    pages: list[int] = field(default_factory=list)
    headings: list[tuple[int, str]] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)
    is_truncated: bool = False

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def extract(path: Path, name: str, mime_type: str, max_characters: int) -> Extracted:
    """Return the text of a file; raises UnreadableError. ``name`` and ``mime_type`` are hints, the content decides."""
    content = _content(path)
    if not content.strip():
        raise UnreadableError("EMPTY", "the file is empty", skip=True)
    kind = detect(name, mime_type, content)
    extracted = _READERS.get(kind, _plain)(content, kind)
    extracted.text = _CONTROL.sub(" ", extracted.text)
    if len(extracted.text) > max_characters:
        extracted.text, extracted.is_truncated = extracted.text[:max_characters], True
    if kind == "text/markdown" or Path(name).suffix.lower() in _CODE:
        found = structure.markdown(extracted.text) if kind == "text/markdown" else structure.code(extracted.text)
        extracted.headings, extracted.breaks, extracted.blocks = found.headings, found.breaks, found.blocks
    if not extracted.text.strip():
        raise UnreadableError("EMPTY", "the file holds no text", skip=True)
    return extracted


def _content(path: Path) -> bytes:
    """Read a regular file; whatever took its place since it was listed is refused, never waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableError("UNSAFE_PATH", "it is no regular file", skip=True)
        return file.read()


def detect(name: str, mime_type: str, content: bytes) -> str:
    """Return the type of a file by its content first, then its name, then what the uploader said."""
    head = content[:_SNIFF_BYTES]
    if head.startswith(b"%PDF-"):
        return "application/pdf"
    suffix = Path(name).suffix.lower()
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        guessed = mimetypes.guess_type(name)[0] or mime_type or "application/octet-stream"
        raise UnreadableError("UNSUPPORTED_TYPE", f"files of type {guessed} hold no text we can read", skip=True)
    if suffix in _MARKDOWN:
        return "text/markdown"
    if suffix in _HTML or head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if suffix == ".pdf":
        raise UnreadableError("CORRUPT", "the file is no PDF, whatever its name says")
    if suffix in _CODE or Path(name).name.lower() in _CODE_NAMES:
        return mimetypes.guess_type(name)[0] or "text/plain"
    return "text/plain"


def _plain(content: bytes, kind: str) -> Extracted:
    return Extracted(_decoded(content), kind)


def _decoded(content: bytes) -> str:
    """Decode UTF-8, or whatever else the bytes look like."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # noqa: PLC0415 - only odd files pay for it

        best = from_bytes(content[: 256 * _SNIFF_BYTES]).best()
        if best is None:
            raise UnreadableError("UNSUPPORTED_TYPE", "the file is no text in any known encoding", skip=True) from None
        return content.decode(best.encoding, errors="replace").replace("\r\n", "\n")


def _html(content: bytes, kind: str) -> Extracted:
    from services.collection.worker.extraction import html  # noqa: PLC0415 - only who reads HTML pays for it

    text, headings = html.flatten(_CONTROL.sub(" ", _decoded(content)))
    return Extracted(text, kind, headings=headings, breaks=[start for start, _ in headings])


def _pdf(content: bytes, kind: str) -> Extracted:
    import pypdfium2  # noqa: PLC0415 - only who reads PDFs pays for it

    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnreadableError("ENCRYPTED", "the PDF asks for a password") from error
        raise UnreadableError("CORRUPT", "the PDF is damaged") from error
    parts, pages, length = [], [], 0
    for number in range(len(document)):
        page = document[number]
        text = page.get_textpage().get_text_bounded().replace("\r\n", "\n") + "\n\n"
        pages.append(length)
        parts.append(text)
        length += len(text)
        page.close()
    return Extracted("".join(parts), kind, pages=pages)


_READERS: dict[str, Callable[[bytes, str], Extracted]] = {"text/html": _html, "application/pdf": _pdf}
