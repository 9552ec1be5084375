"""Programs and configuration: their text as it is, and where top-level definitions begin."""

import re

from services.collection.landmarks import Landmarks
from services.collection.worker.extraction.extracted import Extracted
from services.collection.worker.extraction.formats.plain import decode

# A line that begins at the margin after a blank one: a definition, a class, a block of statements.
_TOP_LEVEL = re.compile(r"\n[ \t]*\n(?=[^\s)\]}])")


def extract(content: bytes, mime_type: str) -> Extracted:
    text = decode(content)
    return Extracted(text, mime_type, landmarks(text))


def landmarks(text: str) -> Landmarks:
    """Return where a chunk of a program preferably begins."""
    return Landmarks(breaks=[match.end() for match in _TOP_LEVEL.finditer(text)])
