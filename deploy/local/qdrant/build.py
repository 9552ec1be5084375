"""Compresses the vectors of a shard that no other process has open: ``python -P -m deploy.local.qdrant.build FOLDER``.

The engine holds the interpreter's lock for as long as that takes, so it has a process of its own, behind what answers people.
"""

import os
import sys

# A tenth of the processor where others want all of it: a build takes some seconds for each 100,000 points, and has to end.
_NICENESS = 10


def main() -> None:
    # First of all: the engine's threads get the priority of the thread that starts them.
    os.nice(_NICENESS)
    import qdrant_edge as edge  # noqa: PLC0415

    shard = edge.EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
