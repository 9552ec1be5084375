"""Mesh tokens and page tokens: what holds, and what does not."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from libs.rpc.call import Principal
from libs.rpc.errors import Failure
from libs.rpc.mesh import MeshIdentity, new_key
from libs.rpc.paging import Cursor, Pager, page_size
from semantik.auth.v1.user_pb2 import User
from semantik.collection.v1.collection_service_pb2 import ListCollectionsRequest
from semantik.collection.v1.source_service_pb2 import ListSourcesRequest

KEY = new_key()
SEARCH, AUTH = MeshIdentity("search", KEY), MeshIdentity("auth", KEY)
ADA, GRACE = (Principal(name, User.ROLE_USER) for name in ("ada", "grace"))


def _signed(key: bytes = KEY, kind: str = "mesh+jwt", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": "search", "aud": "auth", "iat": now, "exp": now + 60} | changes
    return jwt.encode({"alg": "ES256", "typ": kind}, claims, ECKey.import_key(key), algorithms=["ES256"])


def test_a_mesh_token_tells_its_audience_who_calls() -> None:
    """Again from memory; the same token serves a while."""
    token = SEARCH.token("auth")
    assert [AUTH.verify(token) for _ in range(2)] == ["search", "search"]
    assert SEARCH.token("auth") == token
    assert AUTH.verify(_signed()) == "search"


@pytest.mark.abuse(10)
@pytest.mark.parametrize(
    "make",
    [
        lambda: "",
        lambda: "a.b.c",
        lambda: "\u00e9",
        lambda: SEARCH.token("collection"),
        lambda: _signed(new_key()),
        lambda: _signed(kind="at+jwt"),
        lambda: _signed(aud="search"),
        lambda: _signed(iss=""),
        lambda: _signed(exp=int(time.time()) - 60),
        lambda: _signed(iat=int(time.time()) + 60),
    ],
    ids=["nothing", "nonsense", "no ascii", "another audience", "another key", "another type", "not for us", "of nobody", "old", "early"],
)
def test_what_is_no_mesh_token_for_us_is_nobodys(make: Callable[[], str]) -> None:
    """Whatever is wrong with it."""
    assert AUTH.verify(make()) is None


def test_secrets_differ_by_purpose_and_not_by_service() -> None:
    """Replicas of one mesh agree on them."""
    assert SEARCH.derive("a") == AUTH.derive("a")
    assert SEARCH.derive("a") != SEARCH.derive("b")
    assert MeshIdentity("search", new_key()).derive("a") != SEARCH.derive("a")


CURSORS = st.lists(st.text() | st.integers(), min_size=1, max_size=3)


@given(cursor=CURSORS, size=st.integers(1, 1000), name=st.text(st.characters(codec="utf-8")))
def test_a_page_token_brings_its_cursor_back(cursor: Cursor, size: int, name: str) -> None:
    """On every replica, and with another page size."""
    token = Pager(SEARCH).token(cursor, ListCollectionsRequest(name=name), ADA)
    request = ListCollectionsRequest(name=name, page_token=token, page_size=size)
    assert Pager(AUTH).cursor(request, ADA) == cursor
    assert page_size(request) == size


@pytest.mark.abuse(17)
@given(cursor=CURSORS, position=st.integers(0, 15), flip=st.integers(1, 63))
def test_a_page_token_is_good_for_nothing_else(cursor: Cursor, position: int, flip: int) -> None:
    """Not for another user, request or key, and not with one character changed."""
    pager = Pager(SEARCH)
    token = pager.token(cursor, ListCollectionsRequest(name="a"), ADA)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    changed = token[:position] + alphabet[(alphabet.index(token[position]) + flip) % 64] + token[position + 1 :]
    tries = [
        (pager, ListCollectionsRequest(name="a", page_token=token), GRACE),
        (pager, ListCollectionsRequest(name="b", page_token=token), ADA),
        (pager, ListSourcesRequest(page_token=token), ADA),
        (Pager(MeshIdentity("search", new_key())), ListCollectionsRequest(name="a", page_token=token), ADA),
        (pager, ListCollectionsRequest(name="a", page_token=changed), ADA),
    ]
    for reader, request, principal in tries:
        with pytest.raises(Failure) as caught:
            reader.cursor(request, principal)
        assert caught.value.reason_name == "PAGE_TOKEN_INVALID"
