"""Builds the HNSW index of a shard that no other process has open: ``python -P -m deploy.local.qdrant.build FOLDER``.

The engine holds the interpreter's lock for as long as that takes, so it has a process of its own, behind everything else.
"""

import os
import sys

_LOWEST_PRIORITY = 19


def main() -> None:
    # First of all: the engine's threads get the policy of the thread that starts them.
    _step_back()
    import qdrant_edge as edge  # noqa: PLC0415

    shard = edge.EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.flush()
    shard.close()


def _step_back() -> None:
    """Let this process run only when no other wants the processor.

    At nice 19 it would outrank the threads that embed for an index: they run under SCHED_IDLE too, and share with it.
    """
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(_LOWEST_PRIORITY)


if __name__ == "__main__":
    main()
