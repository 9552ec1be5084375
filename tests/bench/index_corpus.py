"""What ``make bench-index`` indexes: mixed files, short passages, tiny files; the same on every machine."""

import json
import random
from pathlib import Path

from tests.faults import corpus

_KINDS = ("txt", "txt", "txt", "txt", "md", "md", "md", "html", "html", "csv", "py")
_FOLDER_FILES = 1000


def mixed(folder: Path, count: int, seed: str = "") -> None:
    """Write ``count`` files of several types, of 40 to 2,000 words."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        name = _mixed_name(number)
        (folder / name).write_text(_mixed_text(name, f"{number}{seed}"))


def change(folder: Path, count: int, every: int, seed: str) -> None:
    """Give every ``every``-th of the mixed files another content."""
    for number in range(0, count, every):
        name = _mixed_name(number)
        (folder / name).write_text(_mixed_text(name, f"{number}{seed}"))


def passages(file: Path, count: int) -> None:
    """Write a file of JSON lines, each a passage of 15 to 60 words."""
    with file.open("w") as lines:
        for number in range(count):
            words = _random(f"length {number}").randint(15, 60)
            lines.write(json.dumps({"_id": f"{number:06}", "title": "", "text": corpus.text(f"passage {number}", words)}) + "\n")


def tiny(folder: Path, count: int) -> None:
    """Write ``count`` files of one line each, a thousand to a folder."""
    for number in range(count):
        below = folder / f"{number // _FOLDER_FILES:03}"
        if number % _FOLDER_FILES == 0:
            below.mkdir(parents=True)
        (below / f"{number:06}.txt").write_text(f"Note {number} about {corpus.word(f'tiny {number}')}.\n")


def _mixed_name(number: int) -> str:
    return f"{number:04}.{_KINDS[number % len(_KINDS)]}"


def _mixed_text(name: str, seed: str) -> str:
    source = _random(f"mixed {seed}")
    words = min(2000, max(40, int(source.lognormvariate(5.6, 0.9))))
    text = corpus.text(f"mixed {seed}", words)
    kind = name.rpartition(".")[2]
    paragraphs = text.split("\n\n")
    if kind == "md":
        return "\n\n".join(f"## Part {number}\n\n{paragraph}" for number, paragraph in enumerate(paragraphs, 1))
    if kind == "html":
        body = "".join(f"<h2>Part {number}</h2><p>{paragraph}</p>" for number, paragraph in enumerate(paragraphs, 1))
        return f"<!doctype html><html><head><title>{name}</title></head><body>{body}</body></html>"
    if kind == "csv":
        return "number,sentence\n" + "".join(
            f'{number},"{sentence}"\n' for number, sentence in enumerate(text.replace("\n", " ").split(". "))
        )
    if kind == "py":
        return "".join(f'def part_{number}() -> str:\n    return """{paragraph}"""\n\n\n' for number, paragraph in enumerate(paragraphs, 1))
    return text


def _random(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - no secret
