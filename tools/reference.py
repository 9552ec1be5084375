"""Copies the files of swagger-ui, from the wheel that bundles them, to where the gateway serves its reference from."""

import shutil
import sys
from importlib import metadata

from gateway.openapi.reference import FOLDER

_PACKAGE = "fastapi-swagger"
_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")


def main() -> None:
    sources = {path.name: path for path in metadata.files(_PACKAGE) or () if path.name in _FILES}
    for name in _FILES:
        if name not in sources:
            sys.exit(f"reference: {_PACKAGE} has no {name}")
        shutil.copyfile(str(sources[name].locate()), FOLDER / name)


if __name__ == "__main__":
    main()
