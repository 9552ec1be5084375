"""Kinds of files that hold no text one can read, or whose text no extractor reads yet: told by their content, then by their name."""

import re
from pathlib import PurePath

# How a file of each kind begins, and what it is.
_BEGINNINGS = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of an older Office program"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"BM", "a bitmap image"),
    (b"RIFF", "a sound, a video or a WebP image"),
    (b"ID3", "an MP3 sound"),
    (b"OggS", "an Ogg sound or video"),
    (b"fLaC", "a FLAC sound"),
    (b"\x1aE\xdf\xa3", "a Matroska video"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\x00asm", "a program"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"wOFF", "a font"),
    (b"wOF2", "a font"),
    (b"OTTO\x00", "a font"),
    (b"\x00\x01\x00\x00", "a font"),
)
# Too short to be believed of a text.
_OF_BINARY_ALONE = {b"BZh", b"BM", b"MZ", b"RIFF", b"ID3", b"GIF8", b"OggS", b"fLaC", b"wOFF", b"wOF2"}
_ZIPPED = {
    ".docx": "a Word document", ".xlsx": "an Excel workbook", ".pptx": "a PowerPoint presentation", ".odt": "an OpenDocument text",
    ".ods": "an OpenDocument spreadsheet", ".odp": "an OpenDocument presentation", ".epub": "an e-book (EPUB)", ".jar": "a Java archive",
    ".whl": "a Python package", ".apk": "an Android package",
}  # fmt: skip
_NAMED = {
    ".eml": "an e-mail message", ".mbox": "a mailbox", ".mht": "a saved web page (MHTML)", ".mhtml": "a saved web page (MHTML)",
    ".rtf": "a document in Rich Text Format", ".ipynb": "a Jupyter notebook", ".svg": "an SVG image", ".map": "a source map",
    ".ps": "a PostScript document", ".eps": "a PostScript image", ".vsdx": "a Visio drawing",
}  # fmt: skip
_LOCK_FILES = {
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "poetry.lock", "uv.lock", "pdm.lock",
    "pipfile.lock", "cargo.lock", "composer.lock", "gemfile.lock", "mix.lock", "pubspec.lock", "packages.lock.json", "go.sum", "flake.lock",
}  # fmt: skip
_LATER = {*_ZIPPED.values(), "an e-mail message", "a mailbox", _NAMED[".rtf"], _NAMED[".ipynb"], _NAMED[".mht"]}
_SVG = re.compile(rb"(?>(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*)<svg[\s>]", re.DOTALL)
_MAIL_FIELDS = re.compile(rb"^(received|return-path|message-id|mime-version|delivered-to|x-[a-z-]+|from|to|subject|date):", re.IGNORECASE)
_MAIL_PROOFS = re.compile(rb"^(received|return-path|message-id|mime-version):", re.IGNORECASE | re.MULTILINE)
_MINIFIED = {".js", ".mjs", ".cjs", ".css"}
_LINE_BYTES = 2_000


def unread(name: str, content: bytes, *, is_binary: bool) -> str:
    """Return a sentence that says what a file is whose text is not read; empty for any other file."""
    path = PurePath(name.lower())
    kind = _packed(path, content, is_binary=is_binary) or ("" if is_binary else _written(path, content))
    return f"it is {kind}, which is not read{' yet' if kind in _LATER else ''}" if kind else ""


def _packed(path: PurePath, content: bytes, *, is_binary: bool) -> str:
    for beginning, kind in _BEGINNINGS:
        if content.startswith(beginning) and (is_binary or beginning not in _OF_BINARY_ALONE):
            return _ZIPPED.get(path.suffix, kind) if beginning == b"PK\x03\x04" else kind
    return "an MP4 sound or video" if content[4:8] == b"ftyp" else ""


def _written(path: PurePath, content: bytes) -> str:
    """Return what a text is that stands for something else."""
    head = content[:8192].lstrip(b"\xef\xbb\xbf \t\r\n")
    told: tuple[tuple[bool, str], ...] = (
        (head.startswith(b"{\\rtf"), _NAMED[".rtf"]),
        (head.startswith(b"%!PS"), _NAMED[".ps"]),
        (bool(_SVG.match(head)), _NAMED[".svg"]),
        (path.suffix in _NAMED and (path.suffix != ".map" or b'"mappings"' in content), _NAMED.get(path.suffix, "")),
        (_is_mail(head), "a mailbox" if head.startswith(b"From ") else "an e-mail message"),
        (path.name in _LOCK_FILES, "a lock file"),
        (path.suffix in _MINIFIED and _is_minified(content), "minified code"),
    )
    return next((kind for is_so, kind in told if is_so), "")


def _is_mail(head: bytes) -> bool:
    """Return whether a text begins with the fields of an e-mail message."""
    fields, _, _ = head.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, _, rest = fields.partition(b"\n")
    if first.startswith(b"From ") and _MAIL_FIELDS.match(rest):
        return True
    return bool(_MAIL_FIELDS.match(fields)) and len(_MAIL_PROOFS.findall(fields)) > 1


def _is_minified(content: bytes) -> bool:
    """Return whether most of a program stands in lines that nobody wrote."""
    long = sum(len(line) for line in content.split(b"\n") if len(line) > _LINE_BYTES)
    return 2 * long > len(content)
