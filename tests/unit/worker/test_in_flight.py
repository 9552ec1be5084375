"""Documents in flight."""

from hypothesis import given
from hypothesis import strategies as st

from services.collection.store.indexing.worklist import Item
from services.collection.worker.in_flight import InFlight

_DOCUMENTS = st.tuples(st.sampled_from("abcd"), st.integers(1, 3))


def _item(document_id: str, version: int) -> Item:
    return Item(document_id, version, "s", "UPLOAD", {}, "p", "p", "text/plain", "en", 1, "", None, 0)


async def test_the_next_content_of_a_document_waits_for_the_one_before() -> None:
    """Both at once would end with one deleting the other's passages."""
    flight = InFlight(500)
    assert flight.take_off(_item("a", 1))
    assert not flight.take_off(_item("a", 1))
    assert not flight.take_off(_item("a", 2))
    assert flight.take_off(_item("b", 2))
    flight.land([_item("a", 1)])
    assert flight.take_off(_item("a", 2))


@given(st.lists(st.tuples(st.booleans(), _DOCUMENTS)))
async def test_few_and_idle_follow_the_count(steps: list[tuple[bool, tuple[str, int]]]) -> None:
    """Whatever takes off and lands, in any order."""
    flight, ids = InFlight(2), set[str]()
    for takes_off, (document_id, version) in steps:
        if takes_off:
            assert flight.take_off(_item(document_id, version)) == (document_id not in ids)
            ids.add(document_id)
        else:
            flight.land([_item(document_id, version)])
            ids.discard(document_id)
        assert (flight.idle.is_set(), flight.few.is_set()) == (not ids, len(ids) < 2)
