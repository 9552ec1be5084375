"""Which RPCs are called again is read from the contract, by channels, the SDK and the gateway alike."""

import json

import pytest

from gateway import contract
from gateway.render import Gateway
from libs.rpc import channels
from libs.rpc.mesh import MeshIdentity, new_key
from semantik import policy
from semantik.client import client
from tests.e2e.faces import METHODS, PUBLIC

_REPEATED = {"/".join(method.full_name.rsplit(".", 1)) for method in METHODS if policy.is_repeatable(method)}


def _retried(options: object) -> set[str]:
    """Return the methods that the service config of a channel retries."""
    config = json.loads(dict(options)["grpc.service_config"])  # type: ignore[call-overload]
    return {f"{name['service']}/{name['method']}" for entry in config["methodConfig"] for name in entry["name"]}


def test_a_level_says_whether_an_rpc_is_repeatable() -> None:
    """What changes nothing and what changes nothing more is; what starts work and what is not said is not."""
    levels = {name: policy.is_repeatable(method) for method in METHODS for name in [f"{method.containing_service.name}.{method.name}"]}
    assert levels["UserService.GetMe"]
    assert levels["AuthService.Logout"]
    assert levels["SearchService.Search"]
    assert not levels["AuthService.Login"]
    assert not levels["AuthService.RefreshToken"]


def test_channels_retry_what_the_contract_allows() -> None:
    """Of the services named, and of no other."""
    services = {method.containing_service.full_name for method in METHODS if method.containing_service.name.endswith("InternalService")}
    assert _retried(channels._options(services)) == {name for name in _REPEATED if name.partition("/")[0] in services}
    with pytest.raises(KeyError):
        channels.connect("127.0.0.1:1", "auth", MeshIdentity("tests", new_key()), ["semantik.auth.v1.NoService"])


def test_the_sdk_retries_what_the_contract_allows() -> None:
    """Every public RPC that is repeatable, without a list of its own."""
    assert _retried(client._options()) == {name for method in PUBLIC for name in ["/".join(method.full_name.rsplit(".", 1))]} & _REPEATED


def test_the_gateway_retries_what_the_contract_allows(tmp_path: object) -> None:
    """On UNAVAILABLE; everything else only when nothing was sent."""
    endpoints = {name: ["127.0.0.1:1"] for name in contract.CLUSTERS}
    rendered = Gateway(endpoints, tmp_path / "contract.pb", 1, "proof").render()  # type: ignore[operator]
    unary = {f"/{'/'.join(method.full_name.rsplit('.', 1))}" for method in PUBLIC if not contract.is_stream(method)}
    retried = set()
    for line in rendered.splitlines():
        if line.lstrip().startswith('- {"match": {"path"'):
            route = json.loads(line.strip().removeprefix("- "))
            is_rpc = route.get("route", {}).get("cluster") in contract.CLUSTERS
            if is_rpc and "unavailable" in route["route"]["retry_policy"]["retry_on"]:
                retried.add(route["match"]["path"])
    assert retried == {path for path in unary if path.removeprefix("/") in _REPEATED}
