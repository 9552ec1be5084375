"""Reads text out of the bytes of files: one format to a file. Runs only in a child process, which may die of a bad file alone."""

import encodings
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.formats import code, html, markdown, pdf, plain
from services.collection.worker.extraction.formats.detection import CODE, detect
from services.collection.worker.extraction.language import detected

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# Encodings that only Windows can import.
_OTHER_SYSTEMS = {"mbcs", "oem"}

Extractor = Callable[[bytes, str], Extracted]

# By type; a format imports its library when it is first used.
EXTRACTORS: Mapping[str, Extractor] = {
    "text/plain": plain.extract,
    "text/html": html.extract,
    "text/markdown": markdown.extract,
    "application/pdf": pdf.extract,
    CODE: code.extract,
}


# One file of each kind: what reading it imports, or reads from files, differs between versions of Python and of libraries.
_SAMPLES = {
    "a.txt": "Déjà vu.".encode("latin-1"),
    "a.md": b"# A\n\nText.",
    "a.html": b"<html><title>A</title><p>Text.</html>",
    "a.py": b"a = 1",
    "a.bin": b"\0",
    "a.pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
}


def preload() -> None:
    """Import whatever any file may need, and every encoding: for a process that will open no file again."""
    for name, content in _SAMPLES.items():
        with suppress(UnreadableError):
            extract(content, name, "", 1000)
    for module in iter_modules(encodings.__path__):
        if module.name not in _OTHER_SYSTEMS:
            import_module(f"encodings.{module.name}")


def extract(content: bytes, name: str, mime_type: str, max_characters: int) -> Extracted:
    """Return the text of a file; raises UnreadableError. ``name`` and ``mime_type`` are hints, the content decides."""
    if not content.strip():
        raise UnreadableError("EMPTY", "the file is empty", skip=True)
    kind, mime_type = detect(name, mime_type, content)
    extracted = EXTRACTORS[kind](content, mime_type)
    text = _CONTROL.sub(" ", extracted.text)
    if not text.strip():
        raise UnreadableError("EMPTY", "the file contains no text", skip=True)
    is_truncated = extracted.is_truncated or len(text) > max_characters
    return replace(extracted, text=text[:max_characters], is_truncated=is_truncated, language=detected(text))
