"""The gateway's own metrics: a listener that hands out Envoy's counters for Prometheus and nothing else of its administration."""

from typing import Any

CLUSTER = "admin"
_PROXY = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def listener(address: dict[str, Any]) -> dict[str, Any]:
    """Return the listener at ``address``; it reads, without a query of the caller's."""
    asked = [
        {"name": ":method", "string_match": {"exact": "GET"}},
        {"name": ":path", "string_match": {"exact": "/metrics"}},
    ]
    route = {
        "match": {"path": "/metrics", "headers": asked},
        "route": {"cluster": CLUSTER, "prefix_rewrite": "/stats/prometheus?usedonly", "timeout": "10s"},
    }
    manager = {
        "@type": _PROXY,
        "stat_prefix": "metrics",
        "route_config": {"name": "metrics", "virtual_hosts": [{"name": "metrics", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {"name": "metrics", "address": address, "enable_reuse_port": False, "filter_chains": [{"filters": filters}]}


def cluster(admin: dict[str, Any]) -> dict[str, Any]:
    """Return the administration itself as where the listener leads."""
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": admin}}]}]
    return {
        "name": CLUSTER,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": endpoints},
    }
