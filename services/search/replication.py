"""How Qdrant spreads an index over its nodes, and how many copies of it a read asks; a single node has no use for either."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.search.qdrant import q

_READS = {
    "majority": q.ReadConsistencyType.Majority,
    "quorum": q.ReadConsistencyType.Quorum,
    "all": q.ReadConsistencyType.All,
}
_ORDERINGS = {"weak": q.WriteOrderingType.Weak, "medium": q.WriteOrderingType.Medium, "strong": q.WriteOrderingType.Strong}


@dataclass(frozen=True)
class Placement:
    """A new index's shards, the copies of each, and how many of them must have a write; None leaves it to Qdrant's own settings."""

    shard_number: int | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None

    def fields(self) -> Mapping[str, int]:
        """Return what is set, as fields of ``CreateCollection``."""
        return {name: value for name, value in vars(self).items() if value is not None}


def consistency(read: str | None, ordering: str | None) -> Mapping[str, Any]:
    """Return the fields that requests to points carry.

    ``read`` is majority, quorum, all or a number of copies, ``ordering`` weak, medium or strong; None leaves it to Qdrant.
    """
    fields = {}
    if read is not None:
        fields["read_consistency"] = q.ReadConsistency(type=_READS[read]) if read in _READS else q.ReadConsistency(factor=int(read))
    if ordering is not None:
        fields["ordering"] = q.WriteOrdering(type=_ORDERINGS[ordering])
    return fields
