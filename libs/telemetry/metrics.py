"""RPC metrics, on a Prometheus port where one is set."""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_handled = Counter("semantik_rpc_handled_total", "RPCs that ended, by method and status.", ("method", "code"))
_seconds = Histogram("semantik_rpc_seconds", "Time an RPC took, in seconds.", ("method",), buckets=_BUCKETS)
_running = Gauge("semantik_rpc_running", "RPCs under way.", ("method",))


def start(address: str) -> None:
    """Serve the metrics on ``host:port``; an empty address serves none."""
    if address:
        host, _, port = address.rpartition(":")
        start_http_server(int(port), host)


def rpc_started(method: str) -> None:
    _running.labels(method).inc()


def rpc_ended(method: str, code: str, seconds: float) -> None:
    _running.labels(method).dec()
    _handled.labels(method, code).inc()
    _seconds.labels(method).observe(seconds)
