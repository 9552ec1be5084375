"""Searches at random in which somebody else's ids, words, metadata and page tokens stand wherever one can stand."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from semantik.search.v1 import search_service_pb2
from semantik.search.v1.filter_pb2 import Condition, Conditions, Facet, MetadataTest, NumberRange, SearchFilter, SizeRange
from semantik.search.v1.search_service_pb2 import BatchSearchRequest, FindSimilarRequest, SearchMode, SearchRequest
from tests.e2e.probes import FACES

# What one has asked oneself changes suggestions: they have a test of their own.
_OF_A_PERSON = ("SuggestQueries", "DeleteRecentQueries")
METHODS = {
    each.name: each for each in search_service_pb2.DESCRIPTOR.services_by_name["SearchService"].methods if each.name not in _OF_A_PERSON
}
# What differs from call to call: times, how long stages took, and page tokens, which are signed with the ids that were asked for.
_TIMES = re.compile(r'"-?[0-9.]+s"|\d{4}-\d\d-\d\dT[0-9:.]+Z|x-(correlation-id|envoy-upstream-service-time)[^)]*')
_TOKENS = re.compile(r'("nextPageToken": ?)"[^"]+"')
_FACETS = [Facet.KIND_MIME_TYPE, Facet.KIND_EXTENSION, Facet.KIND_LANGUAGE, Facet.KIND_SOURCE, Facet.KIND_FOLDER]
_WORDS = ("treasure oak", "nobody wrote this", "the", '"under an oak"', "heat transfer to a flat plate", "Schatz")
_KEYS = ("author", "year", "secret", "nothing")


@dataclass(frozen=True)
class Foreign:
    """What belongs to another: the ids of a collection, a source and documents, a page token, and words that are only there.

    Of nobody it is the same, made up.
    """

    collection: str
    source: str
    documents: Sequence[str]
    page_token: str
    word: str

    @property
    def ids(self) -> tuple[str, ...]:
        return (self.collection, self.source, *self.documents)


@dataclass(frozen=True)
class SearchProbe:
    """A call that ``request`` builds for somebody else's things: the same one for each of them."""

    method: MethodDescriptor
    face: str
    seed: int

    def request(self, own: str, foreign: Foreign) -> Message:
        """Return the request of a caller who has the collection ``own``."""
        return _BUILDERS.get(self.method.name, _any)(Random(self.seed), self.method, own, foreign)  # noqa: S311 - repeatable


def probes(random: Random, number: int) -> list[SearchProbe]:
    """Return so many calls, of each RPC of search on each face in turn."""
    places = [(method, face) for method in METHODS.values() for face in FACES]
    return [SearchProbe(*places[each % len(places)], random.getrandbits(48)) for each in range(number)]


def comparable(answer: str, foreign: Foreign) -> str:
    """Return an answer without times, and with names for what was asked for."""
    for place, identifier in enumerate(foreign.ids):
        answer = answer.replace(identifier, f"ID{place}")
    for name, value in (("TOKEN", foreign.page_token), ("WORD", foreign.word)):
        answer = answer.replace(value, name)
    return _TOKENS.sub(r'\1"TOKEN"', _TIMES.sub("T", answer))


def _ids(random: Random, foreign: Foreign) -> Mapping[str, str]:
    return {"collection": foreign.collection, "source": foreign.source, "document": random.choice(foreign.documents)}


def _query(random: Random, foreign: Foreign) -> str:
    return random.choice((*_WORDS, foreign.word, f'"{foreign.word}"', f"treasure of {foreign.word}"))


def _collections(random: Random, own: str, foreign: Foreign) -> list[str]:
    both = [own, foreign.collection]
    return random.choice(([], [], [own], [own], [own], [own], [own], [foreign.collection], both, both[::-1]))


def _leaf(random: Random, foreign: Foreign) -> Condition:
    ids, key = _ids(random, foreign), random.choice(_KEYS)
    return random.choice(
        (
            Condition(document_id=ids["document"]),
            Condition(source_id=ids["source"]),
            Condition(document_id=ids["collection"]),
            Condition(text=foreign.word),
            Condition(path_prefix=foreign.word[:4]),
            Condition(name_contains=foreign.word),
            Condition(extension="txt"),
            Condition(language="de"),
            Condition(size=SizeRange(min_bytes=random.randrange(100))),
            Condition(metadata=MetadataTest(key=key, string_value=foreign.word)),
            Condition(metadata=MetadataTest(key=key, number=NumberRange(min=random.randrange(2030)))),
        )
    )


def _condition(random: Random, foreign: Foreign, levels: int = 3) -> Condition:
    kind = random.choice(("leaf", "all_of", "any_of", "none_of")) if levels else "leaf"
    if kind == "leaf":
        return _leaf(random, foreign)
    joined = Conditions(conditions=[_condition(random, foreign, levels - 1) for _ in range(random.randint(1, 3))])
    return Condition(**{kind: joined})  # type: ignore[arg-type]


def _filter(random: Random, foreign: Foreign) -> SearchFilter:
    ids, chosen = _ids(random, foreign), SearchFilter()
    if random.random() < 0.3:
        chosen.document_ids.append(ids["document"])
    if random.random() < 0.2:
        chosen.source_ids.append(ids["source"])
    if random.random() < 0.1:
        chosen.mime_types.append("text/*")
    if random.random() < 0.5:
        chosen.condition.CopyFrom(_condition(random, foreign))
    return chosen


def _text(random: Random, foreign: Foreign) -> str:
    ids, key = _ids(random, foreign), random.choice(_KEYS)
    terms = (
        f"document:{ids['document']}",
        f"source:{ids['source']}",
        f"-document:{ids['document']}",
        f"(source:{ids['source']} OR oak)",
        f"meta.{key}:{foreign.word}",
        f"meta.{key}>{random.randrange(2030)}",
        f"NOT meta.{key}:x",
        f"name:{foreign.word}",
        f'"{foreign.word}"',
        f"path:{foreign.word}/ size>1",
        "ext:txt,md",
        "lang:en",
        "colour:red",
        f"({foreign.word}",
    )
    return " ".join(random.choice(terms) for _ in range(random.randint(1, 3)))


def _search(random: Random, _: MethodDescriptor, own: str, foreign: Foreign) -> SearchRequest:
    request = SearchRequest(
        collection_ids=_collections(random, own, foreign),
        query=_query(random, foreign),
        mode=random.choice(SearchMode.values()),
        filter=_filter(random, foreign) if random.random() < 0.4 else None,
        filter_text=_text(random, foreign) if random.random() < 0.4 else "",
        facets=random.sample(_FACETS, random.randrange(len(_FACETS) + 1)),
        metadata_facets=random.sample(_KEYS, random.randrange(3)),
        explain=random.random() < 0.4,
        neighbours=random.choice((0, 0, 2)),
    )
    if random.random() < 0.5:
        request.limit = random.choice((1, 2, 10, 100))
    if random.random() < 0.2:
        request.min_similarity = random.choice((-1.0, 0.0, 0.4))
    if random.random() < 0.2:
        request.max_hits_per_document = random.choice((1, 2))
    if random.random() < 0.1:
        request.page_token = foreign.page_token
    if random.random() < 0.05:
        request.rerank.SetInParent()
    return request


def _batch(random: Random, method: MethodDescriptor, own: str, foreign: Foreign) -> BatchSearchRequest:
    request = BatchSearchRequest(searches=[_search(random, method, own, foreign) for _ in range(random.randint(1, 3))])
    if random.random() < 0.5:
        request.collection_ids.extend(_collections(random, own, foreign))
    if random.random() < 0.3:
        request.filter.CopyFrom(_filter(random, foreign))
    return request


def _similar(random: Random, _: MethodDescriptor, own: str, foreign: Foreign) -> FindSimilarRequest:
    request = FindSimilarRequest(collection_ids=_collections(random, own, foreign))
    document = _ids(random, foreign)[random.choice(("document", "document", "collection", "source"))]
    example = random.choice(("document_id", "chunk", "text"))
    if example == "document_id":
        request.document_id = document
    elif example == "chunk":
        request.chunk.document_id, request.chunk.ordinal = document, random.randrange(3)
    else:
        request.text = _query(random, foreign)
    if random.random() < 0.4:
        request.filter.CopyFrom(_filter(random, foreign))
    return request


def _any(random: Random, method: MethodDescriptor, own: str, foreign: Foreign) -> Message:
    """Return a request of an RPC that has no builder of its own: ids and words where its fields take them."""
    request: Any = message_factory.GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        if field.name == "collection_ids":
            request.collection_ids.extend(_collections(random, own, foreign))
        elif field.name in ("query", "text", "prefix"):
            setattr(request, field.name, random.choice((_query(random, foreign), foreign.word[:3])))
    return request  # type: ignore[no-any-return]


_BUILDERS: Mapping[str, Callable[[Random, MethodDescriptor, str, Foreign], Message]] = {
    "Search": _search,
    "BatchSearch": _batch,
    "FindSimilar": _similar,
}
