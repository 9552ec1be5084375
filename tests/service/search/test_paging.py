"""Pages of a search, hits of a document, similarity, and counts: complete, each once, and nothing of what one may not read."""

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1.filter_pb2 import Facet
from semantik.search.v1.index_internal_service_pb2 import HideDocumentsRequest
from semantik.search.v1.index_pb2 import DocumentVersion
from semantik.search.v1.search_service_pb2 import Hit, SearchResponse
from tests.conftest import Person
from tests.service.search.conftest import SOURCE, Fill, Place

if TYPE_CHECKING:
    from semantik.search.v1.index_internal_service_pb2_grpc import IndexInternalServiceAsyncStub

_WORDS = "whale pod calf ocean breath song fluke krill blubber harbour current reef storm vessel tide sailor".split()  # noqa: SIM905
_numbers = random.Random(7)  # noqa: S311 - no secret, only spread


def _sentences(count: int) -> list[str]:
    """Texts that all have the word whale, each different."""
    return [f"whale {' '.join(_numbers.choices(_WORDS, k=6))} {number}" for number in range(count)]


async def _filled(person: Person, collection: Collection, fill: Fill, texts: list[str], **fields: object) -> None:
    for start in range(0, len(texts), 60):
        await fill(person, collection, texts[start : start + 60], **fields)


async def _pages(person: Person, *ids: str, query: str = "whale song", **arguments: Any) -> list[SearchResponse]:
    pages = [await person.client.search(query, ids, **arguments)]
    while token := pages[-1].next_page_token:
        pages.append(await person.client.search(query, ids, page_token=token, **arguments))
    return pages


def _hits(pages: list[SearchResponse]) -> list[Hit]:
    return [hit for page in pages for hit in page.hits]


async def _refused(person: Person, *ids: str, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(SemantikError) as refusal:
        await person.client.search("whale song", ids, **arguments)
    return refusal.value.code, refusal.value.reason


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
async def test_pages_hold_every_hit_once(ada: Person, collection: Collection, fill: Fill, mode: str) -> None:
    """Past a hundred, best first, in two collections, and the same whatever the size of the pages."""
    other = await ada.client.collections.create("other")
    await _filled(ada, collection, fill, _sentences(240))
    await _filled(ada, other, fill, _sentences(30))
    whole = _hits(await _pages(ada, collection.id, other.id, mode=mode, limit=100))
    assert len({(hit.document_id, hit.ordinal) for hit in whole}) == len(whole) == 270
    assert [hit.score for hit in whole] == sorted((hit.score for hit in whole), reverse=True)
    small = await _pages(ada, collection.id, other.id, mode=mode, limit=37)
    assert [len(page.hits) for page in small] == [37] * 7 + [11]
    assert [hit.text for hit in _hits(small)] == [hit.text for hit in whole]


async def test_a_search_ends_after_a_thousand_hits(ada: Person, collection: Collection, fill: Fill) -> None:
    """However many match."""
    await _filled(ada, collection, fill, _sentences(1080))
    pages = await _pages(ada, collection.id, limit=100, mode="hybrid")
    assert len({hit.document_id for hit in _hits(pages)}) == len(_hits(pages)) == 1000


async def test_a_page_with_all_there_is_has_no_token(ada: Person, collection: Collection, fill: Fill) -> None:
    """Nor has one without hits."""
    await _filled(ada, collection, fill, _sentences(10))
    for limit, expected in ((9, True), (10, False), (11, False)):
        assert bool((await ada.client.search("whale", [collection.id], limit=limit)).next_page_token) == expected
    assert not (await ada.client.search("whale", [collection.id], filter_text="ext:none")).next_page_token


@pytest.mark.abuse(17)
async def test_a_page_token_is_good_for_its_request_and_user_only(
    ada: Person, stranger: Person, collection: Collection, fill: Fill
) -> None:
    """Neither for another query, filter or collection nor for another user; and a forged one for nothing."""
    other = await ada.client.collections.create("other")
    await _filled(ada, collection, fill, _sentences(10))
    await ada.client.collections.update(collection.id, is_public=True)
    try:
        token = (await ada.client.search("whale song", [collection.id], limit=3)).next_page_token
        for limit, expected in ((3, 3), (100, 7)):
            assert len((await ada.client.search("whale song", [collection.id], limit=limit, page_token=token)).hits) == expected
        changed = token[:10] + ("A" if token[10] != "A" else "B") + token[11:]
        refusals = [
            await _refused(stranger, collection.id, limit=3, page_token=token),
            *[await _refused(ada, collection.id, limit=3, page_token=each) for each in (changed, token[:-4], "x", "AAAA" * 20)],
            await _refused(ada, other.id, limit=3, page_token=token),
            await _refused(ada, collection.id, other.id, limit=3, page_token=token),
            await _refused(ada, collection.id, limit=3, mode="semantic", page_token=token),
            await _refused(ada, collection.id, limit=3, filter_text="pod", page_token=token),
            await _refused(ada, collection.id, limit=3, min_similarity=0.1, page_token=token),
        ]
    finally:
        await ada.client.collections.update(collection.id, is_public=False)
    assert set(refusals) == {("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")}


async def test_a_token_opens_nothing_that_is_closed_since(ada: Person, stranger: Person, collection: Collection, fill: Fill) -> None:
    """A collection that is no longer readable does not exist for the next page."""
    await _filled(ada, collection, fill, _sentences(10))
    await ada.client.collections.update(collection.id, is_public=True)
    try:
        token = (await stranger.client.search("whale song", [collection.id], limit=3)).next_page_token
    finally:
        await ada.client.collections.update(collection.id, is_public=False)

    async def until_closed() -> None:
        async with asyncio.timeout(15):  # a permission is kept for 5 s
            while True:
                await stranger.client.search("whale song", [collection.id], limit=3, page_token=token)

    with pytest.raises(SemantikError) as refusal:
        await until_closed()
    assert (refusal.value.code, refusal.value.reason) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")


@pytest.mark.parametrize("mode", ["semantic", "keyword", "hybrid"])
@pytest.mark.parametrize("most", [1, 3])
async def test_a_document_has_at_most_so_many_hits(ada: Person, collection: Collection, fill: Fill, mode: str, most: int) -> None:
    """And all documents are found, although the passages of a few fill the first lists many times over."""
    longs = [f"00000000-0000-4000-8000-{number:012d}" for number in range(4)]
    for document in longs:
        for start in range(0, 420, 60):
            texts = [f"whale song of the whale {start + number}" for number in range(60)]
            await fill(ada, collection, texts, first_ordinal=start, document_id=document)
    await _filled(ada, collection, fill, _sentences(40))
    pages = await _pages(ada, collection.id, mode=mode, limit=20, max_hits_per_document=most)
    counts = Counter(hit.document_id for hit in _hits(pages))
    assert len(pages[0].hits) == 20
    assert {document: count for document, count in counts.items() if count > 1} == ({} if most == 1 else dict.fromkeys(longs, most))
    assert len(counts) == 44
    scores = [hit.score for hit in _hits(pages)]
    assert scores == sorted(scores, reverse=True)


async def test_hits_are_as_similar_as_is_asked(ada: Person, collection: Collection, fill: Fill) -> None:
    """The same ones in the same order as without, but for those below; also those found by their words alone."""
    texts = [*_sentences(150), *(f"whale {number}: how a compiler allocates registers" for number in range(20))]
    await _filled(ada, collection, fill, texts)
    query = "a whale sings"
    known = {hit.document_id: hit.similarity for hit in _hits(await _pages(ada, collection.id, query=query, mode="semantic", limit=100))}
    assert len(known) == 170
    for mode in ("semantic", "hybrid"):
        every = [hit.document_id for hit in _hits(await _pages(ada, collection.id, query=query, mode=mode, limit=100))]
        for least in (-1.0, 0.3, 0.4, 0.5, 0.99):
            found = _hits(await _pages(ada, collection.id, query=query, mode=mode, limit=100, min_similarity=least))
            assert [hit.document_id for hit in found] == [document for document in every if known[document] >= least]
            assert {hit.document_id: hit.similarity for hit in found} == pytest.approx(
                {document: similarity for document, similarity in known.items() if similarity >= least}
            )
    assert await _refused(ada, collection.id, mode="keyword", min_similarity=0.3) == ("INVALID_ARGUMENT", "INVALID_REQUEST")
    for least in (1.1, -1.1, float("nan")):
        assert await _refused(ada, collection.id, min_similarity=least) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


def _counts(facets: list[Facet]) -> list[dict[str, int]]:
    return [{value.value: value.count for value in facet.values} for facet in facets]


async def test_facets_count_what_meets_the_filter(
    ada: Person, stranger: Person, collection: Collection, fill: Fill, place: Place, index: "IndexInternalServiceAsyncStub"
) -> None:
    """Over all collections of the call and no other, published passages alone, whatever the query and the page; each kind once."""
    other, foreign = await ada.client.collections.create("other"), await stranger.client.collections.create("foreign")
    await fill(ada, collection, ["a whale", "a pod"], path="Seas/North/a.md", name="a.md", mime_type="text/markdown", language="en")
    await fill(ada, other, ["a wolf"], path="Seas/b.pdf", name="b.pdf", mime_type="application/pdf")
    await fill(stranger, foreign, ["a whale"], path="Secret/c.xyz", name="c.xyz", mime_type="secret/type", language="xx")
    [hidden] = await fill(ada, collection, ["hidden"], path="Hidden/d.zip", name="d.zip", mime_type="hidden/type")
    name = (await place(ada, collection)).index_name
    await index.HideDocuments(HideDocumentsRequest(index_name=name, documents=[DocumentVersion(document_id=hidden, content_version=1)]))
    kinds = ["folder", "mime", "ext", "lang", "source"]
    expected = [
        {"Seas": 3, "Seas/North": 2},
        {"text/markdown": 2, "application/pdf": 1},
        {"md": 2, "pdf": 1},
        {"en": 2},
        {SOURCE: 3},
    ]
    found = await ada.client.search("whale", [collection.id, other.id], limit=1, facets=kinds)
    assert _counts(list(found.facets)) == expected
    again = await ada.client.search("whale", [collection.id, other.id], limit=1, facets=kinds, page_token=found.next_page_token)
    assert (len(again.hits), len(again.facets)) == (1, 0)
    narrow = await ada.client.search("whale", [collection.id, other.id], facets=["ext", "folder"], filter_text="-pod path:seas/")
    assert _counts(list(narrow.facets)) == [{"md": 1, "pdf": 1}, {"Seas": 2, "Seas/North": 1}]
    assert not (await ada.client.search("whale", [collection.id])).facets
    assert await _refused(stranger, foreign.id, collection.id, facets=kinds) == ("NOT_FOUND", "COLLECTION_NOT_FOUND")
    empty = await ada.client.collections.create("empty")
    assert _counts(list((await ada.client.search("whale", [empty.id], facets=["ext"])).facets)) == [{}]
