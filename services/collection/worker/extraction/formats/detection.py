"""What kind of file some bytes are."""

import mimetypes
from pathlib import PurePath

from services.collection.worker.extraction.extracted import UnreadableError
from services.collection.worker.extraction.formats.decoding import utf_16_without_mark
from services.collection.worker.extraction.formats.unread import unread

# The key of every programming or data language: their types differ, their extractor does not.
CODE = "text/x-source"

_SNIFF_BYTES = 8192
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# The same on every machine: the system's own tables are not read.
_TYPES = mimetypes.MimeTypes(())
_MARKDOWN = {".md", ".markdown", ".mdx"}
_HTML = {".html", ".htm", ".xhtml"}
_CODE = {
    ".py", ".pyi", ".js", ".mjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".go", ".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".rb",
    ".php", ".swift", ".scala", ".sh", ".bash", ".sql", ".proto", ".lua", ".r", ".pl", ".css", ".scss", ".vue", ".mk", ".toml", ".yaml",
    ".yml", ".ini", ".cfg", ".json", ".xml", ".tf", ".gradle", ".dockerfile",
}  # fmt: skip
_CODE_NAMES = {"makefile", "dockerfile", "license", "readme", "changelog"}


def detect(name: str, mime_type: str, content: bytes) -> tuple[str, str]:
    """Return the key of a file's extractor and the file's type, by its content first, then its name; raises UnreadableError."""
    head = content[:_SNIFF_BYTES]
    if head.startswith(b"%PDF-"):
        return "application/pdf", "application/pdf"
    path = PurePath(name)
    suffix = path.suffix.lower()
    guessed, packing = _TYPES.guess_type(name)
    is_binary = b"\x00" in head and not head.startswith(_UTF_16_MARKS) and not utf_16_without_mark(content)
    if why := unread(name, content, is_binary=is_binary):
        raise UnreadableError("UNSUPPORTED_TYPE", why, skip=True)
    if is_binary:
        kind = f"files of type {(not packing and guessed) or mime_type or 'application/octet-stream'}"
        raise UnreadableError("UNSUPPORTED_TYPE", f"it is no text, and {kind} are not read", skip=True)
    if suffix in _MARKDOWN:
        return "text/markdown", "text/markdown"
    if suffix in _HTML or head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "text/html", "text/html"
    if suffix == ".pdf":
        raise UnreadableError("CORRUPT", "the file is named .pdf but is not a PDF")
    if suffix in _CODE:
        return CODE, guessed or "text/plain"
    if path.name.lower() in _CODE_NAMES:
        return "text/plain", guessed or "text/plain"
    return "text/plain", "text/plain"
