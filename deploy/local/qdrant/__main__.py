"""Runs the embedded vector engine as a process of its own."""

import asyncio
import logging
import os
from pathlib import Path

from deploy.local.qdrant.building import Builder
from deploy.local.qdrant.folders import Folders
from deploy.local.qdrant.server import serve
from deploy.local.qdrant.shards import Shards
from libs.telemetry import metrics


def main() -> None:
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO").upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    metrics.start(os.environ.get("METRICS_ADDRESS", ""))
    least_free_bytes = int(os.environ.get("LEAST_FREE_MIB", "64")) << 20
    shards = Shards(Folders(Path(os.environ["DATA_DIR"]), least_free_bytes))
    threshold, look_seconds = int(os.environ.get("INDEX_FROM_POINTS", "50000")), float(os.environ.get("INDEX_LOOK_SECONDS", "5"))
    # Some 2.5 kB each.
    journal_points = int(os.environ.get("JOURNAL_POINTS", "50000"))
    builder = Builder(shards, threshold, look_seconds, journal_points)
    asyncio.run(serve(os.environ["LISTEN_ADDRESS"], os.environ.get("QDRANT_API_KEY", ""), shards, builder))


if __name__ == "__main__":
    main()
