"""Plain text in any encoding."""

from services.collection.worker.extraction.extracted import Extracted, UnreadableError

_SAMPLE_BYTES = 2 * 1024 * 1024


def extract(content: bytes, mime_type: str) -> Extracted:
    return Extracted(decode(content), mime_type)


def decode(content: bytes) -> str:
    """Decode UTF-8, or the encoding the bytes most resemble; raises UnreadableError."""
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes  # noqa: PLC0415 - few files need it

        best = from_bytes(content[:_SAMPLE_BYTES]).best()
        if best is None:
            raise UnreadableError("UNSUPPORTED_TYPE", "the file is not text in a known encoding", skip=True) from None
        return content.decode(best.encoding, errors="replace").replace("\r\n", "\n")
