"""The words for the contract's rules."""

import re
from pathlib import Path

import protovalidate
import pytest
from google.protobuf.message import Message

from libs.rpc.wording import PATTERNS, in_words
from semantik.auth.v1.auth_service_pb2 import RegisterRequest
from semantik.collection.v1.collection_service_pb2 import CreateCollectionRequest
from semantik.search.v1.search_service_pb2 import BatchSearchRequest, SearchRequest

_PROTOS = Path(__file__).parents[3] / "proto" / "semantik"
_ID = "01a1fb77-1b04-7964-956e-62c15a9b0963"


def test_each_pattern_of_the_contract_has_words() -> None:
    """And none is left over; nobody is shown a regular expression."""
    texts = [path.read_text() for path in _PROTOS.rglob("*.proto")]
    patterns = {pattern.replace("\\\\", "\\") for text in texts for pattern in re.findall(r'pattern\s*[:=]\s*"([^"]*)"', text)}
    assert patterns == set(PATTERNS)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (SearchRequest(collection_ids=[_ID], query="   "), "must not be blank"),
        (SearchRequest(collection_ids=[_ID], query=""), "must not be empty"),
        (BatchSearchRequest(), "must not be empty"),
        (CreateCollectionRequest(name=""), "must not be empty"),
        (RegisterRequest(username="a b c", email="a@example.org", password="x" * 8), PATTERNS["^[A-Za-z0-9][A-Za-z0-9._-]*$"]),
        (RegisterRequest(username="abc", email="a@example.org", password="x"), "must be at least 8 characters"),
    ],
)
def test_a_rule_is_explained(message: Message, words: str) -> None:
    """In words that say what to do."""
    assert in_words(protovalidate.collect_violations(message, fail_fast=True)[0]) == words
