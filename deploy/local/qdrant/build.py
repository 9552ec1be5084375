"""Builds the HNSW index of a shard that nobody else has open: ``python -P -m deploy.local.qdrant.build FOLDER``.

The engine holds the interpreter's lock for as long as that takes, so it has a process of its own, behind everything else.
"""

import os
import sys

import qdrant_edge as edge


def main() -> None:
    os.nice(19)
    shard = edge.EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
