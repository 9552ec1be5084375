"""What search keeps of collection's answers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest

from libs.rpc.call import Principal
from semantik.auth.v1.user_pb2 import User
from semantik.collection.v1 import collection_internal_service_pb2 as messages
from semantik.collection.v1 import collection_internal_service_pb2_grpc
from services.search.collection_access import MOST_COLLECTIONS, CollectionAccess

_ADA = Principal("ada", User.ROLE_USER)


@dataclass
class _Collection(collection_internal_service_pb2_grpc.CollectionInternalServiceServicer):
    """Grants everything but what is ``gone``."""

    gone: set[str] = field(default_factory=set)
    asked: list[list[str]] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)

    async def AuthorizeCollections(self, request: messages.AuthorizeCollectionsRequest, context: Any) -> Any:
        ids = list(request.collection_ids)
        self.asked.append(ids)
        if self.gone & set(ids):
            await context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        return messages.AuthorizeCollectionsResponse(
            collections=[messages.AuthorizedCollection(collection_id=each, index_name=f"index-{each}") for each in ids]
        )

    async def ListReadableCollections(self, request: messages.ListReadableCollectionsRequest, context: Any) -> Any:
        self.listed.append(request.principal.user_id)
        return messages.ListReadableCollectionsResponse(
            collections=[messages.AuthorizedCollection(collection_id=f"of-{request.principal.user_id}", index_name="index-a")],
            has_more=request.limit == MOST_COLLECTIONS,
        )


@dataclass
class _Case:
    collection: _Collection
    access: CollectionAccess
    now: list[float]

    async def read(self, *ids: str, principal: Principal = _ADA) -> list[str]:
        return [each.index_name for each in await self.access.readable(principal, ids)]


@pytest.fixture
async def case() -> AsyncIterator[_Case]:
    """The cache before a server of its own, on a clock of its own."""
    server = grpc.aio.server()
    collection, now = _Collection(), [100.0]  # type: ignore[abstract]  # the other methods stay unimplemented
    collection_internal_service_pb2_grpc.add_CollectionInternalServiceServicer_to_server(collection, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield _Case(collection, CollectionAccess(channel, 5.0, clock=lambda: now[0]), now)
    await server.stop(0)


async def _refused(call: Awaitable[object]) -> bool:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return refusal.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_answer_is_kept_for_its_time(case: _Case) -> None:
    """For each collection by itself, in whatever order they are asked for."""
    assert await case.read("a", "b") == ["index-a", "index-b"]
    case.now[0] += 4.9
    assert await case.read("b", "c", "a") == ["index-b", "index-c", "index-a"]
    assert case.collection.asked == [["a", "b"], ["c"]]
    case.now[0] += 0.1
    await case.read("a", "c")
    assert case.collection.asked[2:] == [["a"]]


@pytest.mark.abuse(7)
@pytest.mark.parametrize(
    ("other", "is_shared"),
    [
        (Principal("ada", User.ROLE_USER, session_id="s", issue_time=5.0), True),
        (Principal("eve", User.ROLE_USER), False),
        (Principal("ada", User.ROLE_GUEST), False),
        (Principal("ada", User.ROLE_USER, api_key_id="k"), False),
        (Principal("ada", User.ROLE_USER, restricted=True), False),
    ],
)
async def test_a_permission_is_of_whom_it_was_given_to(case: _Case, other: Principal, is_shared: bool) -> None:
    """Another token of the same user is the same principal; anything that a grant looks at makes another."""
    await case.read("a")
    await case.read("a", principal=other)
    assert len(case.collection.asked) == (1 if is_shared else 2)


@pytest.mark.abuse(7)
async def test_a_refusal_is_never_kept(case: _Case) -> None:
    """What appears is readable at once."""
    case.collection.gone = {"a"}
    assert await _refused(case.read("a"))
    case.collection.gone = set()
    assert await case.read("a") == ["index-a"]


@pytest.mark.parametrize("how", [lambda access: access.forget("index-a"), lambda access: access.confirm(_ADA, ["a"])])
async def test_what_is_gone_is_asked_for_again(case: _Case, how: Callable[[CollectionAccess], Awaitable[None] | None]) -> None:
    """After its index was dropped here, or was found missing; the others are still kept."""
    await case.read("a", "b")
    case.collection.gone = {"a"}
    assert await case.read("a", "b") == ["index-a", "index-b"]
    forgetting = how(case.access)
    assert forgetting is None or await _refused(forgetting)
    assert await _refused(case.read("a"))
    assert await case.read("b") == ["index-b"]


async def test_what_may_be_read_is_kept_for_its_time(case: _Case) -> None:
    """For each principal by itself, until an index is dropped here."""
    eve = Principal("eve", User.ROLE_USER)
    for principal in (_ADA, eve, _ADA):
        listed = await case.access.all_readable(principal)
        assert [each.collection_id for each in listed.collections] == [f"of-{principal.user_id}"]
        assert listed.has_more
    assert case.collection.listed == ["ada", "eve"]
    case.now[0] += 5.0
    await case.access.all_readable(_ADA)
    case.access.forget("index-a")
    await case.access.all_readable(_ADA)
    assert case.collection.listed == ["ada", "eve", "ada", "ada"]


async def test_how_many_may_be_read_is_known_after_the_first_list(case: _Case) -> None:
    """For each principal by itself; the most there may be until then, and when the list was forgotten."""
    assert case.access.readable_count(_ADA) == MOST_COLLECTIONS
    await case.access.all_readable(_ADA)
    assert case.access.readable_count(_ADA) == 1
    assert case.access.readable_count(Principal("eve", User.ROLE_USER)) == MOST_COLLECTIONS
    case.access.forget("index-a")
    assert case.access.readable_count(_ADA) == MOST_COLLECTIONS


async def test_many_are_asked_for_in_parts(case: _Case) -> None:
    """Of what collection takes in one request."""
    ids = [str(number) for number in range(2 * MOST_COLLECTIONS + 1)]
    assert await case.read(*ids) == [f"index-{each}" for each in ids]
    assert [len(asked) for asked in case.collection.asked] == [MOST_COLLECTIONS, MOST_COLLECTIONS, 1]
