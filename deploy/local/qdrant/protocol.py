"""Qdrant's own gRPC messages, without the client around them.

Importing the package ``qdrant_client`` costs a hundred megabytes this process has no use for, so its ``grpc`` folder is
imported under a bare parent module.
"""

import importlib
import importlib.util
import sys
import types
from typing import Any


def _load() -> Any:
    if "qdrant_client" not in sys.modules:
        spec = importlib.util.find_spec("qdrant_client")
        if spec is None or spec.submodule_search_locations is None:
            raise SystemExit("qdrant: install the extra `local` (pip install semantik[local])")
        bare = types.ModuleType("qdrant_client")
        bare.__path__ = list(spec.submodule_search_locations)
        sys.modules["qdrant_client"] = bare
    return importlib.import_module("qdrant_client.grpc")


messages: Any = _load()
