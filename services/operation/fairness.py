"""Who gives up a slot for whom."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from services.operation.tables import Desired, Slot

_UNFAIR = 2  # slots more than another


@dataclass(frozen=True)
class Held:
    """A claim in a worker's slot."""

    id: str
    queue: str
    slot: str | None
    user_id: str
    priority: int
    seconds: float
    """How long it has lasted."""
    desired: str
    is_settling: bool


@dataclass(frozen=True)
class Waiting:
    """Work of one user in one queue that could be claimed at once."""

    user_id: str
    is_short: bool
    priority: int
    """The highest of it."""
    count: int


def yielding(held: Iterable[Held], waiting: Collection[Waiting], *, short_seconds: float, long_seconds: float) -> list[str]:
    """Return the claims of one queue that are to give up their slots.

    In short slots: the longest, after ``short_seconds``, while short work of other users waits that is not less urgent, and
    no more of them than such work. In long slots: the latest of a user who has at least two more than a user who waits, if it is
    older than ``long_seconds``; afterwards they are one apart at most, so that nothing is passed to and fro.
    """
    claims = list(held)
    return [*_short(claims, waiting, short_seconds), *_long(claims, waiting, long_seconds)]


def _may_yield(claim: Held, seconds: float) -> bool:
    return claim.desired == Desired.RUN and not claim.is_settling and claim.seconds >= seconds


def _short(claims: list[Held], waiting: Collection[Waiting], seconds: float) -> list[str]:
    slots = [claim for claim in claims if claim.slot == Slot.SHORT]
    taken = sum(claim.desired == Desired.YIELD for claim in slots)
    ids: list[str] = []
    for claim in sorted(slots, key=lambda claim: -claim.seconds):
        wanted = sum(work.count for work in waiting if work.is_short and work.user_id != claim.user_id and work.priority >= claim.priority)
        if _may_yield(claim, seconds) and wanted > taken + len(ids):
            ids.append(claim.id)
    return ids


def _long(claims: list[Held], waiting: Collection[Waiting], seconds: float) -> list[str]:
    slots = [claim for claim in claims if claim.slot == Slot.LONG]
    # A claim that is giving up its slot counts for nobody any more.
    running = Counter(claim.user_id for claim in slots if claim.desired != Desired.YIELD)
    yielded = sum(claim.desired == Desired.YIELD for claim in slots)
    ids: list[str] = []
    for work in sorted(waiting, key=lambda work: running[work.user_id]):
        if yielded:
            # That slot is this work's.
            yielded -= 1
            continue
        candidates = [
            claim
            for claim in _latest(claim for claim in slots if claim.id not in ids)
            if _may_yield(claim, seconds) and claim.priority <= work.priority and running[claim.user_id] - running[work.user_id] >= _UNFAIR
        ]
        if candidates:
            claim = min(candidates, key=lambda claim: (-running[claim.user_id], claim.seconds))
            running[claim.user_id] -= 1
            running[work.user_id] += 1
            ids.append(claim.id)
    return ids


def _latest(claims: Iterable[Held]) -> Collection[Held]:
    """Return the latest claim of each user that is not being given up already."""
    latest: dict[str, Held] = {}
    for claim in claims:
        if claim.desired != Desired.YIELD and (claim.user_id not in latest or claim.seconds < latest[claim.user_id].seconds):
            latest[claim.user_id] = claim
    return latest.values()
