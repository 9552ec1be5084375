"""Turns a request and the collections it may read into a plan: what to ask each index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from semantik.collection.v1.collection_internal_service_pb2 import AuthorizedCollection
from semantik.search.v1 import search_service_pb2 as messages
from services.search import conditions
from services.search.passage import DOCUMENT, HIDDEN, MIME_TYPE, PUBLISHED, SOURCE, TEXT
from services.search.words import phrases

_DEFAULT_LIMIT = 10
# How many points each list brings to the fusion; more changes little, less loses hits (see DECISIONS.md).
_DEPTH = 100


class Model(NamedTuple):
    """What made an index's vectors; those of two models never compare."""

    name: str
    digest: str
    precision: int


@dataclass(frozen=True)
class IndexQuery:
    """A collection to search, and where."""

    collection_id: str
    index_name: str
    model: Model


@dataclass(frozen=True)
class Plan:
    """``by_meaning`` and ``by_words`` say which lists each index is asked for; at least one is true.

    ``text`` is the query without the quotation marks of its phrases, which ``filter_`` asks for.
    """

    text: str
    by_meaning: bool
    by_words: bool
    queries: Sequence[IndexQuery]
    filter_: Any
    limit: int

    @property
    def depth(self) -> int:
        """How many points to ask of each list."""
        return max(_DEPTH, self.limit)

    @property
    def models(self) -> set[Model]:
        """The models the text has to be embedded with."""
        return {query.model for query in self.queries} if self.by_meaning else set()


def plan(request: messages.SearchRequest, collections: Sequence[AuthorizedCollection]) -> Plan:
    """Return the plan; ``collections`` are those of the request, authorised."""
    quoted, text = phrases(request.query)
    return Plan(
        text=text,
        by_meaning=request.mode != messages.SEARCH_MODE_KEYWORD,
        by_words=request.mode != messages.SEARCH_MODE_SEMANTIC,
        queries=[IndexQuery(each.collection_id, each.index_name, Model(each.model, each.digest, each.precision)) for each in collections],
        filter_=_filter(request.filter, quoted),
        limit=request.limit if request.HasField("limit") else _DEFAULT_LIMIT,
    )


def _filter(message: messages.SearchFilter, quoted: Sequence[str]) -> Any:
    narrowing = ((DOCUMENT, message.document_ids), (SOURCE, message.source_ids), (MIME_TYPE, message.mime_types))
    wanted = [conditions.is_in(key, values) for key, values in narrowing if values]
    wanted += [conditions.contains(TEXT, phrase) for phrase in quoted]
    return conditions.all_of(conditions.equals(HIDDEN, PUBLISHED), *wanted)
