"""Checks the shape of the tree: no long files, no junk drawers, no marks left in code."""

import re
import subprocess
import sys
from pathlib import Path

_MOST_LINES = 400
_MOST_PROTO_LINES = 300
_JUNK = {"common", "utils", "util", "core", "shared", "helpers", "helper", "managers", "manager", "misc"}
_MARKS = re.compile(r"#.*\b(TO" + r"DO|FIX" + r"ME|X{3}|HA" + r"CK)\b")
_GENERATED = re.compile(r"^libs/sdk/(semantik/[^/]+/v1|buf)/|^proto/third_party/")


def faults(paths: list[str]) -> list[str]:
    """Return what is wrong with the tracked files, one line each."""
    found = []
    for name in paths:
        path = Path(name)
        if _GENERATED.match(name) or not path.exists():
            continue
        if _JUNK & {part.removesuffix(path.suffix) for part in path.parts}:
            found.append(f"{name}: the name says nothing about what is inside")
        if path.suffix not in {".py", ".proto", ".ts", ".tsx", ".lua"}:
            continue
        lines = path.read_text().splitlines()
        most = _MOST_PROTO_LINES if path.suffix == ".proto" and "error_reason" not in name else _MOST_LINES
        if len(lines) > most:
            found.append(f"{name}: {len(lines)} lines, at most {most}")
        found += [f"{name}:{number}: a mark left in the code" for number, line in enumerate(lines, 1) if _MARKS.search(line)]
        if path.suffix == ".py" and "/migrations/" not in name and lines and not lines[0].startswith(('"""', "#!")):
            found.append(f"{name}: it does not open with one sentence")
    return found


def main() -> None:
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S607 - git is what it is
    found = faults(tracked)
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
