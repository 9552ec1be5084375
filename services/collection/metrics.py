"""The series of collection's faces; the worker has its own."""

from prometheus_client import Counter

starts = Counter(
    "semantik_collection_starts_total",
    "Operations asked for, by kind and outcome: sent, deferred (operation was away), refused.",
    ("kind", "outcome"),
)
uploads = Counter("semantik_collection_uploads_total", "Uploads received whole, by outcome: new, unchanged, failed.", ("outcome",))
upload_bytes = Counter("semantik_collection_upload_bytes_total", "Bytes of uploads received whole.")
hide_failures = Counter("semantik_collection_hide_failures_total", "Documents or sources that could not be hidden from searches at once.")
objects_deleted = Counter("semantik_collection_objects_deleted_total", "Objects without an owner that were deleted.")
object_failures = Counter(
    "semantik_collection_object_failures_total", "Calls of the store of objects that failed, by call: put, delete.", ("call",)
)
restarts = Counter("semantik_collection_restarts_total", "Removals that hung and were started again, by kind.", ("kind",))
indexes_dropped = Counter("semantik_collection_indexes_dropped_total", "Indexes without an owner that were dropped.")
