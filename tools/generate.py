"""Generates the Python stubs from the protos, or checks that the ones in the tree are current."""

import argparse
import filecmp
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]


def generate(protos: Path, out: Path) -> None:
    """Write stubs for every service package of ``protos`` and for ``buf.validate`` below ``out``."""
    own = sorted(str(path.relative_to(protos)) for path in (protos / "semantik").rglob("*.proto"))
    third_party = protos / "third_party"
    include = [f"-I{protos}", f"-I{third_party}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    _run([*include, f"--python_out={out}", f"--mypy_out=quiet:{out}", *own, "buf/validate/validate.proto"])
    services = [path for path in own if path.endswith("_service.proto")]
    _run([*include, f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *services])


def generate_for_mesh(protos: Path, out: Path) -> None:
    """Write the messages of other systems' protocols that only services use, each below ``out`` in the service that does."""
    third_party = protos / "third_party"
    files = sorted(str(path.relative_to(third_party)) for path in (third_party / "services").rglob("*.proto"))
    include = [f"-I{third_party}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    _run([*include, f"--python_out={out}", f"--mypy_out=quiet:{out}", *files])


def _run(arguments: list[str]) -> None:
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin={name}={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    if protoc.main(["protoc", *plugins, *arguments]):
        sys.exit("generate: protoc failed")


def _stubs(root: Path) -> set[Path]:
    files = [*root.glob("semantik/*/v1/*_pb2*.py*"), *root.glob("buf/**/*_pb2*.py*"), *root.glob("services/*/*/*_pb2*.py*")]
    return {path.relative_to(root) for path in files if path.suffix in (".py", ".pyi")}


def _differences(fresh: Path, current: Path) -> list[Path]:
    _, different, missing = filecmp.cmpfiles(fresh, current, map(str, _stubs(fresh)), shallow=False)
    stale = _stubs(current) - _stubs(fresh)
    return sorted([*map(Path, different), *map(Path, missing), *stale])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the stubs are not current")
    parser.add_argument("protos", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    _update(generate, options.protos, options.out, check=options.check)
    _update(generate_for_mesh, options.protos, Path(), check=options.check)


def _update(write: Callable[[Path, Path], None], protos: Path, out: Path, *, check: bool) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        write(protos, fresh)
        differences = _differences(fresh, out)
        if check:
            if differences:
                sys.exit("generated code is not current (run `make generate`): " + ", ".join(map(str, differences)))
            return
        for path in _stubs(out) - _stubs(fresh):
            (out / path).unlink()
        shutil.copytree(fresh, out, dirs_exist_ok=True)
        sys.stdout.write(f"{len(differences)} files changed\n")


if __name__ == "__main__":
    main()
