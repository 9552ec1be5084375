"""RPC metrics, on a Prometheus port where one is set.

Series of a domain stand in a ``metrics`` module of their service, made with ``prometheus_client`` directly and named
``semantik_<noun>_<unit>``, counters ending in ``_total``: the module of the code that raises them imports them. Labels
are words from the contract or the code, never ids or texts of users.
"""

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


class RpcSeries:
    """The series of one method; its children are looked up once, not at each call."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._running = _running.labels(method)
        self._seconds = _seconds.labels(method)
        self._handled: dict[str, Counter] = {}

    def started(self) -> None:
        self._running.inc()

    def ended(self, code: str, seconds: float) -> None:
        self._running.dec()
        handled = self._handled.get(code)
        if handled is None:
            handled = self._handled[code] = _handled.labels(self._method, code)
        handled.inc()
        self._seconds.observe(seconds)
