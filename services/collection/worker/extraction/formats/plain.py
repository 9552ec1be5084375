"""Plain text in any encoding."""

from services.collection.worker.extraction.extracted import Extracted
from services.collection.worker.extraction.formats import decoding


def extract(content: bytes, mime_type: str) -> Extracted:
    return Extracted(decode(content), mime_type)


def decode(content: bytes) -> str:
    """Return a text with the line ends of Unix, whatever its encoding."""
    return decoding.decode(content).replace("\r\n", "\n")
