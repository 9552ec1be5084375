"""Writes the OpenAPI document of the contract, or checks that the one in the tree is current."""

import argparse
import sys
import tempfile
import tomllib
from importlib import resources
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc  # type: ignore[import-untyped]

from gateway.openapi.comments import comments
from gateway.openapi.document import PATH, document, written


def described(protos: Path) -> FileDescriptorSet:
    """Return the files of the contract with their comments, which stubs do not carry."""
    own = sorted(str(path.relative_to(protos)) for path in (protos / "semantik").rglob("*.proto"))
    include = [f"-I{protos}", f"-I{protos / 'third_party'}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "contract.pb"
        options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={out}"]
        if protoc.main(["protoc", *include, *options, *own]):
            sys.exit("openapi: protoc failed")
        return FileDescriptorSet.FromString(out.read_bytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the document is not current")
    parser.add_argument("protos", type=Path)
    options = parser.parse_args()
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    text = written(document(comments(described(options.protos)), version))
    if not options.check:
        PATH.write_text(text)
    elif not PATH.exists() or PATH.read_text() != text:
        sys.exit("the OpenAPI document is not current: run `make generate`")


if __name__ == "__main__":
    main()
