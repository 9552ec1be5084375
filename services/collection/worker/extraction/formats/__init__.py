"""Reads text out of the bytes of files: one format to a file. Runs only in a child process, which may die of a bad file alone."""

import encodings
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.formats import code, html, markdown, pdf, plain
from services.collection.worker.extraction.formats.detection import CODE, detect

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


_LIBRARIES = ("selectolax.lexbor", "pypdfium2")


def preload() -> None:
    """Import every library of every format, and every encoding: for a process that will open no file again."""
    for name in _LIBRARIES:
        import_module(name)
    # Its models are read from files by the first text.
    plain.decode("Déjà vu.".encode("latin-1"))
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
    if len(text) > max_characters:
        return replace(extracted, text=text[:max_characters], is_truncated=True)
    return replace(extracted, text=text)
