"""Turns a request and the collections it may read into a plan: what to ask each index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from libs.rpc.errors import invalid
from semantik.collection.v1.collection_internal_service_pb2 import AuthorizedCollection
from semantik.search.v1 import search_service_pb2 as messages
from semantik.search.v1.filter_pb2 import SearchFilter
from services.search import conditions
from services.search.filters import tree
from services.search.filters.text import parsed
from services.search.languages.language import ENGLISH, Language, common, language_of
from services.search.passage import DOCUMENT, HIDDEN, PUBLISHED, SOURCE, TEXT
from services.search.words import phrases

_DEFAULT_LIMIT = 10
DEFAULT_CANDIDATES = 50
# How many points each list brings to the fusion; more changes little, less loses hits (see DECISIONS.md).
DEPTH = 150
# How many passages of its section a hit has with it.
SECTION_PASSAGES = 20


class Model(NamedTuple):
    """What made an index's vectors; those of two models never compare."""

    name: str
    digest: str
    precision: int


@dataclass(frozen=True)
class IndexQuery:
    """A collection to search, where, the language of its words, and what of the filter's metadata it has no index of."""

    collection_id: str
    index_name: str
    generation: int
    model: Model
    language: Language = ENGLISH
    unindexed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Plan:
    """``by_meaning`` and ``by_words`` say which lists each index is asked for; at least one is true.

    ``text`` is the query without the quotation marks of its phrases, which ``filter_`` asks for. The hits from ``offset`` on are
    wanted; ``depth`` is how many points to ask of each list.
    """

    text: str
    by_meaning: bool
    by_words: bool
    queries: Sequence[IndexQuery]
    filter_: Any
    limit: int
    phrases: Sequence[str] = ()
    reranked: int = 0
    offset: int = 0
    min_similarity: float | None = None
    max_hits_per_document: int | None = None
    depth: int = DEPTH

    @property
    def end(self) -> int:
        """The rank of the last hit that is wanted."""
        return self.offset + self.limit

    @property
    def language(self) -> Language:
        """The language of all indexes, English where they differ."""
        return common(query.language for query in self.queries)

    @property
    def models(self) -> set[Model]:
        """The models the text has to be embedded with."""
        return {query.model for query in self.queries} if self.by_meaning else set()


def plan(request: messages.SearchRequest, collections: Sequence[AuthorizedCollection], offset: int) -> Plan:
    """Return the plan for the hits from ``offset`` on; ``collections`` are those of the request, authorised.

    Raises INVALID_REQUEST.
    """
    if request.section_neighbours and request.neighbours:
        raise invalid("neighbours", "must be 0 where section_neighbours asks for the whole section")
    queries = index_queries(collections)
    language = common(query.language for query in queries)
    quoted, text = phrases(request.query, language)
    reranked = request.rerank.candidate_count if request.rerank.HasField("candidate_count") else DEFAULT_CANDIDATES
    return Plan(
        text=text,
        by_meaning=request.mode != messages.SEARCH_MODE_KEYWORD,
        by_words=request.mode != messages.SEARCH_MODE_SEMANTIC,
        queries=queries,
        filter_=_filter(request.filter, request.filter_text, language, quoted),
        limit=limit(request),
        phrases=quoted,
        reranked=max(reranked, limit(request)) if request.HasField("rerank") else 0,
        offset=offset,
        min_similarity=_min_similarity(request),
        max_hits_per_document=request.max_hits_per_document if request.HasField("max_hits_per_document") else None,
    )


def similar_plan(request: messages.FindSimilarRequest, collections: Sequence[AuthorizedCollection], but: str) -> Plan:
    """Return the plan of a search by meaning alone, with vectors that are known; the document ``but`` is left out."""
    queries = index_queries(collections)
    return Plan(
        text="",
        by_meaning=True,
        by_words=False,
        queries=queries,
        filter_=_filter(request.filter, "", common(query.language for query in queries), (), but),
        limit=limit(request),
    )


def index_queries(collections: Sequence[AuthorizedCollection]) -> list[IndexQuery]:
    return [
        IndexQuery(each.collection_id, each.index_name, each.generation, model_of(each), language_of(each.language)) for each in collections
    ]


def model_of(collection: AuthorizedCollection) -> Model:
    return Model(collection.model, collection.digest, collection.precision)


def limit(request: messages.SearchRequest | messages.FindSimilarRequest) -> int:
    """Return the largest number of hits."""
    return request.limit if request.HasField("limit") else _DEFAULT_LIMIT


def neighbours(request: messages.SearchRequest) -> int:
    """Return the largest number of passages on each side of a hit."""
    return SECTION_PASSAGES if request.section_neighbours else request.neighbours


def _filter(chosen: SearchFilter, text: str, language: Language, quoted: Sequence[str], but: str = "") -> Any:
    narrowing = ((DOCUMENT, chosen.document_ids), (SOURCE, chosen.source_ids))
    wanted = [conditions.is_in(key, values) for key, values in narrowing if values]
    if chosen.mime_types:
        wanted.append(conditions.nested(conditions.one_of(*(tree.mime_type(each) for each in chosen.mime_types))))
    if chosen.HasField("condition"):
        wanted.append(tree.compiled(tree.checked(chosen.condition, "filter.condition", language)))
    if (written := parsed(text, language)) is not None:
        wanted.append(tree.compiled(written))
    wanted += [conditions.contains(TEXT, phrase) for phrase in quoted]
    kept = conditions.all_of(conditions.equals(HIDDEN, PUBLISHED), *wanted)
    if but:
        kept.must_not.append(conditions.equals(DOCUMENT, but))
    return kept


def _min_similarity(request: messages.SearchRequest) -> float | None:
    if not request.HasField("min_similarity"):
        return None
    if request.mode == messages.SEARCH_MODE_KEYWORD:
        raise invalid("min_similarity", "a search by words alone has no similarity")
    return request.min_similarity
