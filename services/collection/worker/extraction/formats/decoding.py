"""Which encoding a text is in, where it does not say so."""

import re
import unicodedata

_SAMPLE_BYTES = 200_000
_WESTERN = "cp1252"
# What a text in a European language may be in that people meet; the others have alphabets of their own, or were hardly ever used.
_LATIN = {_WESTERN, "cp1250", "cp1254", "cp1257", *(f"iso8859-{part}" for part in (1, 2, 9, 13, 15, 16))}
_UNUSED = {"cp1258", *(f"iso8859-{part}" for part in (3, 4, 10, 14))}
_LIKE_WESTERN = {_WESTERN, "iso8859-1", "iso8859-15"}
_SINGLE_BYTE = ("cp125", "cp874", "iso8859", "koi8", "tis", "mac", "kz", "ptcp")
# How much more likely another encoding has to be than the usual one.
_CLEARLY = 1.45
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
# A letter with an accent beside one without: no word of another alphabet looks so.
_MIXED_WORD = re.compile(rb"[A-Za-z][\xc0-\xff]|[\xc0-\xff][A-Za-z]")
# Letters and signs in the encodings of Windows, control characters in those of ISO.
_WINDOWS_ALONE = re.compile(rb"[\x80-\x9f]")
# The euro sign and the letters that ISO 8859-15 has in the place of what few texts need.
_EURO = re.compile(rb"\xa4|[A-Za-z][\xa6\xa8\xb4\xb8\xbc\xbd]|[\xa6\xa8\xb4\xb8\xbc\xbd][a-z]")
_JAPANESE_SHIFTS = (b"\x1b$B", b"\x1b$@")
_BLANKS = frozenset(" \n\r\t\u3000\u3001\u3002")
# Blanks whose bytes were taken in the wrong order.
_SWAPPED_BLANKS = frozenset("\u2000\u0a00\u0d00\u0900")
_BROKEN = ("Cn", "Co", "Cs", "Cc")


def decode(content: bytes) -> str:
    """Decode a text in whichever encoding its bytes resemble most, UTF-8 with some bytes damaged among them."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    # What is ASCII and yet another encoding comes before UTF-8, which it would be as well.
    if wide := utf_16_without_mark(content):
        return content.decode(wide, errors="replace")
    if any(shift in content[:_SAMPLE_BYTES] for shift in _JAPANESE_SHIFTS):
        return content.decode("iso2022_jp_2", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        is_nearly = _is_nearly_utf_8(content[:_SAMPLE_BYTES])
        return content.decode("utf-8-sig" if is_nearly else _detected(content[:_SAMPLE_BYTES]), errors="replace")


def _is_nearly_utf_8(sample: bytes) -> bool:
    """Return whether most of what is not ASCII is UTF-8, so that the rest is damage."""
    text = sample.decode("utf-8", errors="replace")
    broken = text.count("\ufffd")
    return sum(character > "\x7f" for character in text) - broken > 4 * broken


def utf_16_without_mark(content: bytes) -> str:
    """Return which UTF-16 a text is in that does not begin with a mark; empty for what is none.

    Zero bytes are in nearly every such text, and blanks tell the order of its bytes.
    """
    sample = content[: 4096 & ~1]
    if b"\x00" not in sample or len(content) % 2:
        return ""
    scores = {encoding: _plausibility(sample.decode(encoding, errors="replace")) for encoding in ("utf-16-le", "utf-16-be")}
    best = max(scores, key=lambda encoding: scores[encoding])
    return best if scores[best] > 0 else ""


def _plausibility(text: str) -> int:
    """Return how many characters a text is likely to have, less those it is not; 0 if any should not be there."""
    if any(unicodedata.category(character) in _BROKEN and character not in _BLANKS for character in text):
        return 0
    return sum(character in _BLANKS or " " < character < "\x7f" for character in text) - sum(
        character in _SWAPPED_BLANKS for character in text
    )


def _detected(sample: bytes) -> str:
    """Return the encoding of a text in none of Unicode's; the usual one of the West unless another is clearly more likely."""
    import chardet  # noqa: PLC0415 - few files need it

    eras = chardet.EncodingEra.MODERN_WEB | chardet.EncodingEra.LEGACY_ISO
    found = chardet.detect_all(sample, encoding_era=eras, ignore_threshold=True, compat_names=False)
    scores = {_codec(str(candidate["encoding"])): candidate["confidence"] for candidate in reversed(found) if candidate["encoding"]}
    best = _codec(str(found[0]["encoding"] or _WESTERN))
    if not best.startswith(_SINGLE_BYTE):
        return best
    if best not in _LATIN:
        if best not in _UNUSED and len(_MIXED_WORD.findall(sample)) < len(_NOT_ASCII.findall(sample)) / 3:
            return best
        best = max(_LATIN & scores.keys(), key=lambda encoding: scores[encoding], default=_WESTERN)
    western = max((scores.get(encoding, 0.0) for encoding in _LIKE_WESTERN), default=0.0)
    if best in _LIKE_WESTERN or scores.get(best, 0.0) < _CLEARLY * western:
        return "iso8859-15" if _EURO.search(sample) and not _WINDOWS_ALONE.search(sample) else _WESTERN
    if best == "cp1250" and scores.get("iso8859-2", 0.0) >= scores[best] and not _WINDOWS_ALONE.search(sample):
        return "iso8859-2"
    return best


def _codec(name: str) -> str:
    return name.lower().replace("_", "-").replace("iso-8859", "iso8859").replace("windows-", "cp")
