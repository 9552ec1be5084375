"""Checks the shape of the tree: no long files, no junk drawers, no marks left in code."""

import re
import subprocess
import sys
from pathlib import Path

_MOST_LINES = 400
_MOST_PROTO_LINES = 300
_JUNK = {"common", "utils", "util", "core", "shared", "helpers", "helper", "managers", "manager", "misc"}
_MARKS = re.compile(r"#.*\b(TO" + r"DO|FIX" + r"ME|X{3}|HA" + r"CK)\b")
_GENERATED = re.compile(
    r"^libs/sdk/(semantik/[^/]+/v1|buf)/|^libs/sdk-ts/src/gen/|^services/[^/]+/[^/]+/[^/]+_pb2\.pyi?$|^proto/third_party/"
)


def faults(paths: list[str]) -> list[str]:
    """Return what is wrong with the tracked files, one line each."""
    problems = []
    for name in paths:
        path = Path(name)
        if _GENERATED.match(name) or not path.exists():
            continue
        if _JUNK & {part.removesuffix(path.suffix) for part in path.parts}:
            problems.append(f"{name}: the name does not say what is inside")
        if path.suffix not in {".py", ".proto", ".ts", ".tsx", ".lua"}:
            continue
        lines = path.read_text().splitlines()
        if "/migrations/" in name:
            continue  # written by Alembic, one to a service
        most = _MOST_PROTO_LINES if path.suffix == ".proto" and "error_reason" not in name else _MOST_LINES
        if len(lines) > most:
            problems.append(f"{name}: {len(lines)} lines, at most {most}")
        problems += [f"{name}:{number}: a leftover mark" for number, line in enumerate(lines, 1) if _MARKS.search(line)]
        if path.suffix == ".py" and "/migrations/" not in name and lines and not lines[0].startswith(('"""', "#!")):
            problems.append(f"{name}: it does not begin with one sentence")
    return problems


def main() -> None:
    tracked = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines()  # noqa: S607 - git is what it is
    problems = faults(tracked)
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
