"""What filters find a document by: its folders, its extension, and texts in which upper and lower case are the same."""

import re
import unicodedata

# Behind the extension may stand which record of the file it is: `papers.jsonl#12`.
_EXTENSION = re.compile(r"[^/.]\.([^\W_][\w+-]{0,15})(?:#[^/]*)?$")
_LEVELS = 8


def folded(text: str) -> str:
    """Return a text without the difference of case, and of the two ways in which Unicode writes an accented letter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def extension(path: str) -> str:
    """Return what a path ends with after a dot, folded and without the dot; empty for a hidden file without one."""
    found = _EXTENSION.search(path)
    return folded(found[1]) if found else ""


def stem(path: str) -> str:
    """Return what a path has before its extension, without the dot."""
    found = _EXTENSION.search(path)
    return path[: found.start(1) - 1] if found else path


def folders(path: str) -> list[str]:
    """Return the folders above a document, the outermost first, at most 8."""
    parts = path.split("/")[:-1][:_LEVELS]
    return ["/".join(parts[: level + 1]) for level in range(len(parts))]
