"""What the operation service counts."""

from prometheus_client import Counter, Gauge

queued = Gauge("semantik_operation_queued", "Operations that wait, by kind and the slot they may have.", ("kind", "slot"))
oldest = Gauge("semantik_operation_oldest_seconds", "Age of the oldest operation that waits, in seconds.", ("kind", "slot"))
claims = Counter("semantik_operation_claims_total", "Claims, by kind, slot and whether they settle.", ("kind", "slot", "directive"))
leases_lost = Counter("semantik_operation_leases_lost_total", "Leases that ran out, by kind.", ("kind",))
faults = Counter("semantik_operation_faults_total", "Claims given back with a fault, by kind.", ("kind",))
yields = Counter("semantik_operation_yields_total", "Claims asked to give up their slot, by slot.", ("slot",))
finished = Counter("semantik_operation_finished_total", "Operations that ended, by kind and state.", ("kind", "state"))
watchers = Gauge("semantik_operation_watchers", "Streams that watch an operation.")
