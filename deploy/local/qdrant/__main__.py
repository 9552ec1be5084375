"""Runs the embedded vector engine as a process of its own."""

import asyncio
import logging
import os
from pathlib import Path

from deploy.local.qdrant.server import serve


def main() -> None:
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO").upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    index_from = int(os.environ.get("INDEX_FROM_POINTS", "20000"))
    key = os.environ.get("QDRANT_API_KEY", "")
    asyncio.run(serve(os.environ["LISTEN_ADDRESS"], key, Path(os.environ["DATA_DIR"]), index_from))


if __name__ == "__main__":
    main()
