"""What the embedded engine counts."""

from prometheus_client import Counter, Histogram

_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

builds = Counter("semantik_engine_builds_total", "Builds of compressed segments, by outcome: built, given_up, failed.", ("outcome",))
build_seconds = Histogram("semantik_engine_build_seconds", "Time from the copy of a collection to the switch.", buckets=_SECONDS)
points_indexed = Counter("semantik_engine_points_indexed_total", "Points whose vectors were compressed.")
