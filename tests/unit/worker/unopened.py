"""Reads files as a child does that can open none any more: refuses whatever is opened after the preload, and prints the texts as JSON."""

import json
import sys

from services.collection.worker.extraction.formats import extract, preload
from tests.unit.worker.pdf import pdf

_FILES = {
    "latin.txt": "Garçon, l'été à Noël".encode("cp1252"),
    "wide.txt": "Straße".encode("utf-16"),
    "cyrillic.txt": "Привет, как дела? Сегодня хорошая погода.".encode("koi8-r"),
    "notes.md": b"---\ntitle: x\n---\n# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "page.html": b"<!doctype html><meta charset=windows-1252><h1>Caf\xe9</h1><table><tr><td>1</table>",
    "program.py": b"def gate():\n    return 1\n",
    "data.json": b'{"a": 1}',
    "Makefile": b"all:\n\ttrue\n",
}


def main() -> None:
    files = _FILES | {"paper.pdf": pdf("the first page", "the second page")}
    preload()

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            raise PermissionError(f"opens {arguments[0]}")

    sys.addaudithook(refuse)
    print(json.dumps({name: extract(content, name, "", 10_000).text for name, content in files.items()}))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
