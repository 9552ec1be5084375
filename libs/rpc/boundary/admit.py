"""Keeps one user's flood from being everybody's: what a user has under way on this server is bounded."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any

from google.protobuf.message import Message
from prometheus_client import Counter

from libs.rpc import call
from libs.rpc.boundary import Context, Stream, Unary
from libs.rpc.boundary.presence import Presence
from libs.rpc.boundary.refusals import Refusals
from libs.rpc.errors import Failure, overloaded

_RETRY_SECONDS = 1.0
# While others are about, whoever keeps calls waiting leaves a pause of so many times a call's length behind each; past a burst at least
# the shortest, because a call costs the gateway, the network and the database too.
_PAUSES = 2.0
_MIN_PAUSE_SECONDS = 0.025
_MAX_PAUSE_SECONDS = 0.1
_BURST = 16
# A large request costs others the more the larger it is, before it begins as well: behind one comes so long a pause for each share of
# request bytes that it has.
_LARGE_PAUSE_SECONDS = 0.1
_MAX_LARGE_PAUSE_SECONDS = 1.0
_waited = Counter("semantik_rpc_waits_total", "Calls that waited for others of the same user.", ("method",))
_refused = Counter("semantik_rpc_overloads_total", "Calls refused because too many of the same user were under way.", ("method",))


@dataclass(frozen=True)
class Share:
    """What one user, or one address without credentials, may have under way on one server.

    Of each gRPC service ``calls`` that answer once run at a time, and are not read before; ``shared_calls`` while others are about.
    ``waiting`` more wait for their turn, and what comes on top is refused. Those that run and whose requests have more than
    ``request_bytes`` together wait for each other; one of less than an eighth of that waits for none. ``streams`` are open at a time.
    Where bytes do not tell what a request costs, ``cost`` returns it in bytes.
    """

    calls: int = 16
    shared_calls: int = 2
    request_bytes: int = 256 * 1024
    waiting: int = 256
    streams: int = 256
    cost: Callable[[Message], int] = methodcaller("ByteSize")


class _Gate:
    """Lets what costs up to ``limit()`` together in, in the order it came; one alone gets in whatever it costs."""

    def __init__(self, limit: Callable[[], int], max_waiting: int) -> None:
        self._limit = limit
        self._max_waiting = max_waiting
        self._used = self._inside = 0
        self._waited = 0
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def is_idle(self) -> bool:
        return not self._inside and not self._waiting

    @property
    def is_crowded(self) -> bool:
        return bool(self._waiting)

    @property
    def is_flooded(self) -> bool:
        """Whether more than a burst has waited since nothing did."""
        return self._waited > _BURST

    def enter(self, cost: int) -> bool:
        """Return whether there was room; who gets none waits. Whoever is in leaves with the same cost."""
        if self._waiting or not self._fits(cost):
            return False
        self._take(cost)
        return True

    async def wait(self, cost: int) -> None:
        """Wait for room; raises OVERLOADED where too many do already."""
        if len(self._waiting) >= self._max_waiting:
            raise overloaded("too much of yours is waiting already", _RETRY_SECONDS)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waited = self._waited + 1 if self._waiting else 1
        self._waiting.append((turn, cost))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # let in, and gone before it could begin
                self.leave(cost)
            elif (turn, cost) in self._waiting:
                self._waiting.remove((turn, cost))
                self._let_in()
            raise

    def leave(self, cost: int) -> None:
        self._inside -= 1
        self._used -= cost
        self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._fits(self._waiting[0][1]):
            turn, cost = self._waiting.popleft()
            if not turn.cancelled():
                self._take(cost)
                turn.set_result(None)

    def _take(self, cost: int) -> None:
        self._inside += 1
        self._used += cost

    def _fits(self, cost: int) -> bool:
        return not self._inside or self._used + cost <= self._limit()


class _User:
    def __init__(self, share: Share, calls: Callable[[], int]) -> None:
        self._share = share
        self._limit = calls
        self._calls: dict[str, _Gate] = {}
        self.request_bytes = _Gate(lambda: share.request_bytes, share.waiting)
        self.streams = 0

    def calls(self, service: str) -> _Gate:
        """Return the gate of a service: its calls, which may take minutes, hold up none of another."""
        gate = self._calls.get(service)
        if gate is None:
            gate = self._calls[service] = _Gate(self._limit, self._share.waiting)
        return gate

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count one more open stream during the block."""
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    @property
    def is_idle(self) -> bool:
        return not self.streams and self.request_bytes.is_idle and all(gate.is_idle for gate in self._calls.values())


class Users:
    """Those who have something under way on this server."""

    def __init__(self, share: Share, presence: Presence | None = None) -> None:
        self.share = share
        self._presence = presence or Presence()
        self._users: dict[str, _User] = {}

    @contextmanager
    def present(self, who: str) -> Iterator[_User]:
        user = self.begin(who)
        try:
            yield user
        finally:
            self.forget(who, user)

    def begin(self, who: str) -> _User:
        """Return who calls, and remember it."""
        self._presence.note(who)
        user = self._users.get(who)
        if user is None:
            user = self._users[who] = _User(self.share, partial(self._calls, who))
        return user

    def end(self, who: str, user: _User, gate: _Gate, started: float) -> None:
        """End a call that has run since ``started``: its place is free at once, or after a pause if it is fair to leave one."""
        if gate.is_crowded and self._presence.others_are_about(who):
            loop = asyncio.get_running_loop()
            shortest = _MIN_PAUSE_SECONDS if gate.is_flooded else 0.0
            pause = min(max((loop.time() - started) * _PAUSES, shortest), _MAX_PAUSE_SECONDS)
            loop.call_later(pause, self._leave, who, user, gate)
        else:
            self._leave(who, user, gate)

    def end_large(self, who: str, user: _User, cost: int) -> None:
        """End a large request: the next one of the same user begins at once, or after a pause by what this one cost."""
        gate = user.request_bytes
        if gate.is_crowded and self._presence.others_are_about(who):
            pause = min(cost / self.share.request_bytes * _LARGE_PAUSE_SECONDS, _MAX_LARGE_PAUSE_SECONDS)
            asyncio.get_running_loop().call_later(pause, self._leave, who, user, gate, cost)
        else:
            self._leave(who, user, gate, cost)

    def _calls(self, who: str) -> int:
        return self.share.shared_calls if self._presence.others_are_about(who) else self.share.calls

    def _leave(self, who: str, user: _User, gate: _Gate, cost: int = 1) -> None:
        gate.leave(cost)
        self.forget(who, user)

    def forget(self, who: str, user: _User) -> None:
        """Drop who has nothing under way any more."""
        if user.is_idle:
            self._users.pop(who, None)

    def __len__(self) -> int:
        return len(self._users)


class Admit:
    """Gives each call its turn before its request is read; the mesh's own calls are not counted.

    A stream has its turn until its first response, at most for a moment: opening it is what it costs.
    """

    def __init__(self, users: Users, refusals: Refusals) -> None:
        self._users = users
        self._refusals = refusals

    def unary(self, method: str, behavior: Unary) -> Unary:
        waited, refused = _waited.labels(method), _refused.labels(method)
        service = method.rpartition("/")[0]

        async def admitted(request: Any, context: Context) -> Any:
            who = _caller()
            if not who:
                return await behavior(request, context)
            user = self._users.begin(who)
            gate = user.calls(service)
            if not gate.enter(1):
                waited.inc()
                await self._turn(who, user, gate, refused)
            started = asyncio.get_running_loop().time()
            try:
                return await behavior(request, context)
            finally:
                self._users.end(who, user, gate, started)

        return admitted

    def stream(self, method: str, behavior: Stream) -> Stream:
        waited, refused = _waited.labels(method), _refused.labels(method)
        service = method.rpartition("/")[0]

        async def admitted(request: Any, context: Context) -> AsyncIterator[Any]:
            who = _caller()
            if not who:
                async with aclosing(behavior(request, context)) as responses:  # type: ignore[type-var]
                    async for response in responses:
                        yield response
                return
            with self._users.present(who) as user:
                await self._has_room(who, user, refused)
                with user.stream():
                    gate = user.calls(service)
                    if not gate.enter(1):
                        waited.inc()
                        await self._turn(who, user, gate, refused)
                    opening = _Opening(partial(self._users.end, who, user, gate, asyncio.get_running_loop().time()))
                    try:
                        async with aclosing(behavior(request, context)) as responses:  # type: ignore[type-var]
                            async for response in responses:
                                opening.end()
                                yield response
                    finally:
                        opening.end()

        return admitted

    async def _turn(self, who: str, user: _User, gate: _Gate, refused: Counter) -> None:
        try:
            await gate.wait(1)
        except Failure:
            refused.inc()
            await self._refusals.hold(who)
            raise
        except asyncio.CancelledError:
            self._users.forget(who, user)
            raise

    async def _has_room(self, who: str, user: _User, refused: Counter) -> None:
        if user.streams < self._users.share.streams:
            return
        refused.inc()
        await self._refusals.hold(who)
        raise overloaded(f"{user.streams} of your streams are open here already; close some of them", _RETRY_SECONDS)


class _Opening:
    """Calls ``end`` once: at the first response, at the end, or after a moment."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self._timer = asyncio.get_running_loop().call_later(_MAX_PAUSE_SECONDS, self.end)
        self._is_open = True

    def end(self) -> None:
        if self._is_open:
            self._is_open = False
            self._timer.cancel()
            self._end()


class Weigh:
    """Lets the large requests of a user, once read, run one after the other."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._small = users.share.request_bytes // 8

    def unary(self, method: str, behavior: Unary) -> Unary:
        waited = _waited.labels(method)

        async def weighed(request: Any, context: Context) -> Any:
            who = _caller()
            if not who or not isinstance(request, Message):
                return await behavior(request, context)
            cost = self._users.share.cost(request)
            if cost <= self._small:
                return await behavior(request, context)
            with self._users.present(who) as user:
                if not user.request_bytes.enter(cost):
                    waited.inc()
                    await user.request_bytes.wait(cost)
                try:
                    return await behavior(request, context)
                finally:
                    self._users.end_large(who, user, cost)

        return weighed

    def stream(self, _method: str, behavior: Stream) -> Stream:
        return behavior


def _caller() -> str:
    """Return whose share a call takes; empty for the mesh."""
    current = call.current()
    if current.principal is not None:
        return current.principal.user_id
    return "" if current.peer else f"address {current.client_address}"
