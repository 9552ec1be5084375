"""What workers count."""

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)

attempts = Counter("semantik_work_attempts_total", "Attempts that ended, by kind of operation and outcome.", ("kind", "outcome"))
seconds = Histogram("semantik_work_attempt_seconds", "Time an attempt took, in seconds.", ("kind",), buckets=_BUCKETS)
running = Gauge("semantik_work_running", "Attempts under way, by slot.", ("slot",))
stalls = Counter("semantik_work_stalls_total", "Attempts ended because nothing moved for too long.", ("kind",))
leases_lost = Counter("semantik_work_leases_lost_total", "Leases lost, by cause: taken over, or operation silent.", ("cause",))
retries = Counter("semantik_work_retries_total", "Calls repeated after a transient error, by what was waited for.", ("what",))
faults = Counter("semantik_work_faults_total", "Attempts that an unknown fault ended, by phase.", ("phase",))
