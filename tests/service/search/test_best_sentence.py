"""The sentence of a hit that best answers the query."""

from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1.search_service_pb2 import Hit
from tests.conftest import Person
from tests.service.search.conftest import Fill


def _best(hit: Hit) -> str:
    return hit.text[hit.best_sentence.start : hit.best_sentence.end] if hit.HasField("best_sentence") else ""


async def test_a_hit_says_which_sentence_answers_best(ada: Person, collection: Collection, fill: Fill) -> None:
    """In every mode and in a batch; a passage without the words has none, and neither has one that is like a text."""
    texts = ["The sea is deep. A humpback whale sings its song. Songs are long.", "Melodies of large sea mammals"]
    await fill(ada, collection, texts)
    expected = {texts[0]: "A humpback whale sings its song.", texts[1]: ""}
    for mode, found in (("keyword", texts[:1]), ("semantic", texts), ("hybrid", texts)):
        hits = (await ada.client.search("songs of the whale", [collection.id], mode=mode)).hits
        assert {hit.text: _best(hit) for hit in hits} == {text: expected[text] for text in found}
    [batch] = await ada.client.search.batch(["songs of the whale"], [collection.id])
    assert {hit.text: _best(hit) for hit in batch.hits} == expected
    similar = (await ada.client.search.similar([collection.id], text="songs of the whale")).hits
    assert {_best(hit) for hit in similar} == {""}
