"""Reads text out of the bytes of files: one format to a file. Runs only in a child process, which may die of a bad file alone."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from services.collection.worker.extraction.extracted import Extracted, UnreadableError
from services.collection.worker.extraction.formats import code, html, markdown, pdf, plain
from services.collection.worker.extraction.formats.detection import CODE, detect

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

Extractor = Callable[[bytes, str], Extracted]

# By type; a format imports its library when it is first used.
EXTRACTORS: Mapping[str, Extractor] = {
    "text/plain": plain.extract,
    "text/html": html.extract,
    "text/markdown": markdown.extract,
    "application/pdf": pdf.extract,
    CODE: code.extract,
}


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
