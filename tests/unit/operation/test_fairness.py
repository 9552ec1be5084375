"""A slot is given up to who has a better right to it, and not passed to and fro."""

import dataclasses
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.operation.fairness import Held, Waiting, yielding
from services.operation.tables import Desired, Slot

SHORT, LONG = 2.0, 10.0


def _held(name: str, user: str, seconds: float, slot: Slot = Slot.SHORT, **fields: object) -> Held:
    plain = Held(name, "index", slot, user, 0, seconds, Desired.RUN, is_settling=False)
    return dataclasses.replace(plain, **fields)  # type: ignore[arg-type]


def _waiting(user: str, *, is_short: bool = True, priority: int = 0, count: int = 1) -> Waiting:
    return Waiting(user, is_short, priority, count)


def _yielding(held: list[Held], waiting: list[Waiting]) -> list[str]:
    return yielding(held, waiting, short_seconds=SHORT, long_seconds=LONG)


def test_a_short_slot_is_given_up_after_its_time_to_another_user() -> None:
    """Not sooner, not to the same user's work, to long or less urgent work; what settles is left alone."""
    old, young = _held("old", "ada", 2.1), _held("young", "ada", 1.9)
    assert _yielding([old, young], [_waiting("bob")]) == ["old"]
    assert _yielding([old], []) == []
    assert _yielding([old], [_waiting("ada")]) == []
    assert _yielding([old], [_waiting("bob", is_short=False)]) == []
    assert _yielding([dataclasses.replace(old, priority=1)], [_waiting("bob")]) == []
    assert _yielding([dataclasses.replace(old, is_settling=True)], [_waiting("bob")]) == []


def test_no_more_short_slots_are_given_up_than_work_waits() -> None:
    """The longest first; one that is being given up already counts."""
    held = [_held(name, "ada", seconds) for name, seconds in (("b", 5.0), ("a", 9.0), ("c", 3.0))]
    assert _yielding(held, [_waiting("bob")]) == ["a"]
    assert _yielding(held, [_waiting("bob"), _waiting("eve")]) == ["a", "b"]
    assert _yielding([*held, _held("d", "ada", 9.0, desired=Desired.YIELD)], [_waiting("bob")]) == []


def test_a_user_with_several_long_slots_gives_the_latest_to_a_user_with_none() -> None:
    """One with a single slot keeps it, however long others wait."""
    first, second = (_held(name, "ada", seconds, Slot.LONG) for name, seconds in (("first", 900.0), ("second", 20.0)))
    assert _yielding([first, second], [_waiting("bob", is_short=False)]) == ["second"]
    assert _yielding([first], [_waiting("bob", is_short=False)]) == []
    assert _yielding([first, dataclasses.replace(second, seconds=9.0)], [_waiting("bob", is_short=False)]) == []
    assert _yielding([first, dataclasses.replace(second, desired=Desired.YIELD)], [_waiting("bob", is_short=False)]) == []


USERS = st.sampled_from(["ada", "bob", "eve", "joe"])


@given(
    st.lists(st.tuples(USERS, st.floats(10, 100), st.sampled_from([Slot.SHORT, Slot.LONG]), st.booleans()), max_size=8),
    st.lists(st.builds(_waiting, USERS, is_short=st.booleans(), count=st.integers(1, 3)), max_size=4, unique_by=lambda work: work.user_id),
)
def test_what_is_given_up_makes_things_fairer_and_then_is_enough(
    claims: list[tuple[str, float, Slot, bool]], waiting: list[Waiting]
) -> None:
    """Nobody gives a long slot to a user who then has more, and a second look changes nothing."""
    held = [_held(str(number), *claim[:3], is_settling=claim[3]) for number, claim in enumerate(claims)]
    ids = _yielding(held, waiting)
    assert len(ids) == len(set(ids))
    given_up = [claim for claim in held if claim.id in ids]
    assert not any(claim.is_settling for claim in given_up)
    running = Counter(claim.user_id for claim in held if claim.slot is Slot.LONG)
    lost = Counter(claim.user_id for claim in given_up if claim.slot is Slot.LONG)
    assert all(running[user] - count >= 1 for user, count in lost.items())
    after = [dataclasses.replace(claim, desired=Desired.YIELD) if claim.id in ids else claim for claim in held]
    assert _yielding(after, waiting) == []
