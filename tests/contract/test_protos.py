"""What the protos promise about themselves: doors, documented reasons, limits."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor

from semantik.error.v1.error_reason_pb2 import ErrorReason
from tests.e2e.faces import INTERNAL, METHODS, PUBLIC

_PROTO = Path(__file__).parents[2] / "proto" / "semantik"
_RPC = re.compile(r"((?:^  //.*\n)+)^  rpc (\w+)", re.MULTILINE)


def _documented() -> dict[str, str]:
    """Return the comment of every RPC by ``Service.Method``."""
    found = {}
    for file in _PROTO.rglob("*_service.proto"):
        text = file.read_text()
        starts = [*re.finditer(r"^service (\w+) \{$", text, re.MULTILINE), None]
        for service, following in pairwise(starts):
            assert service is not None
            for comment, name in _RPC.findall(text[service.end() : following.start() if following else len(text)]):
                found[f"{service[1]}.{name}"] = re.sub(r"\s*//\s*", " ", comment).strip()
    return found


DOCUMENTED = _documented()


def _name(of: MethodDescriptor) -> str:
    return f"{of.containing_service.name}.{of.name}"


def test_every_public_rpc_has_one_http_door_of_its_own_and_no_internal_one_has_any() -> None:
    """No two share a verb and a path."""
    doors = {}
    for of in PUBLIC:
        rule = of.GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        assert verb is not None, _name(of)
        doors[verb, re.sub(r"\{\w+\}", "{}", getattr(rule, verb))] = _name(of)
    assert len(doors) == len(PUBLIC)
    assert [_name(of) for of in INTERNAL if of.GetOptions().HasExtension(annotations_pb2.http)] == []


@pytest.mark.parametrize("of", METHODS, ids=_name)
def test_an_rpc_names_the_reasons_it_refuses_for(of: MethodDescriptor) -> None:
    """Each of them is in the contract's list; what needs a token says so; a list has a page and a limit."""
    comment = re.sub(r" \([^)]*\)", "", DOCUMENTED[_name(of)])
    [said] = re.findall(r"Reasons: ([A-Z_, ]+|none)\.", comment)
    reasons = set() if said == "none" else set(re.split(r", ?", said))
    assert {f"ERROR_REASON_{reason}" for reason in reasons} <= set(ErrorReason.keys())
    if of in INTERNAL:
        assert "TOKEN_INVALID" in reasons
    elif of.containing_service.name != "AuthService":
        assert {"CREDENTIALS_MISSING", "TOKEN_INVALID"} <= reasons
        assert "Role: " in comment
    fields = of.input_type.fields_by_name
    if "page_token" in fields:
        assert fields["page_size" if "page_size" in fields else "limit"].has_presence
        assert "PAGE_TOKEN_INVALID" in reasons
        assert "next_page_token" in of.output_type.fields_by_name
