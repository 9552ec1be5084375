"""Media types: parsed from what people say, rebuilt before anything of theirs becomes a header again."""

import re

_TOKEN = r"[A-Za-z0-9!#$&^_.+-]{1,127}"  # noqa: S105 - a restricted name of RFC 6838
_TYPE = re.compile(f"({_TOKEN})/({_TOKEN})")
_CHARSET = re.compile(r"[A-Za-z0-9._-]{1,40}")
_UNKNOWN = "application/octet-stream"
# What no program runs, whatever it does with it; anything else people say it is comes back as bytes.
_HARMLESS = {
    "text/plain", "text/csv", "text/markdown", "application/json", "application/pdf", "application/rtf", "application/zip",
    "application/epub+zip", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/tiff", "message/rfc822",
}  # fmt: skip
_OFFICE = ("application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.")


def parsed(content_type: str) -> str | None:
    """Return the type in a ``content-type`` without its parameters, in lower case; empty where nothing is said, None where it is none."""
    said = content_type.partition(";")[0].strip(" \t").lower()
    return said if not said or _TYPE.fullmatch(said) else None


def served(mime_type: str, charset: str) -> str:
    """Return the ``content-type`` under which stored bytes are given out."""
    known = parsed(mime_type) or _UNKNOWN
    if known not in _HARMLESS and not known.startswith(_OFFICE):
        return _UNKNOWN
    return f"{known}; charset={charset.lower()}" if _CHARSET.fullmatch(charset) else known
