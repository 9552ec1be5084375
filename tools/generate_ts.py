"""Generates the TypeScript messages and services from the protos, or checks that the ones in the tree are current."""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

_IMPORTED = (
    "buf/validate/validate.proto",
    "google/api/annotations.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
)
_PLUGIN = Path("libs/sdk-ts/node_modules/.bin/protoc-gen-es")


def generate(protos: Path, out: Path) -> None:
    """Write a module for each public proto below ``out``, and for what they import."""
    own = sorted(str(path.relative_to(protos)) for path in (protos / "semantik").rglob("*.proto") if "internal" not in path.name)
    roots = [protos, protos / "third_party", Path(str(resources.files("grpc_tools") / "_proto"))]
    include = [f"-I{root}" for root in roots]
    wanted = [*own, *_IMPORTED]
    options = [f"--plugin=protoc-gen-es={_PLUGIN}", f"--es_out={out}", "--es_opt=target=ts,import_extension=js"]
    # The plugin is a program of Node's, which lies beside this Python.
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "grpc_tools.protoc", *include, *options, *wanted]
    if subprocess.run(command, env=environment, check=False).returncode:  # noqa: S603 - a compiler over our own files
        sys.exit("generate: protoc failed")


def _files(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*_pb.ts")}


def _differences(fresh: Path, current: Path) -> list[str]:
    _, different, missing = filecmp.cmpfiles(fresh, current, map(str, _files(fresh)), shallow=False)
    return sorted([*different, *missing, *map(str, _files(current) - _files(fresh))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the modules are not current")
    parser.add_argument("protos", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    if not _PLUGIN.exists():
        sys.exit("generate: the plugin is missing (run `make web-setup`)")
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(options.protos, fresh)
        if options.check:
            if differences := _differences(fresh, options.out):
                sys.exit("generated TypeScript is not current (run `make generate`): " + ", ".join(differences))
            return
        shutil.rmtree(options.out, ignore_errors=True)
        shutil.copytree(fresh, options.out)


if __name__ == "__main__":
    main()
