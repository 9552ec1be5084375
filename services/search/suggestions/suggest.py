"""Completes what a person is typing."""

import asyncio
from collections.abc import Iterable, Iterator
from itertools import islice

from libs.rpc.call import Principal
from semantik.search.v1.highlight_pb2 import Highlight
from semantik.search.v1.suggestion_pb2 import Suggestion, SuggestQueriesRequest, SuggestQueriesResponse
from services.search.collection_access import CollectionAccess
from services.search.stages.request import index_queries
from services.search.stages.scope import Scope, scope
from services.search.suggestions.headings import Counts, HeadingIndex
from services.search.suggestions.recent import RecentQueries
from services.search.suggestions.words import folded, matched

_DEFAULT_LIMIT = 8
_Text = tuple["Suggestion.Kind.ValueType", str]


class Suggest:
    def __init__(self, headings: HeadingIndex, access: CollectionAccess, recent: RecentQueries) -> None:
        self._headings = headings
        self._access = access
        self._recent = recent

    async def suggest(self, principal: Principal, request: SuggestQueriesRequest) -> SuggestQueriesResponse:
        """Suggest queries; nothing is read before every collection is known to be readable."""
        searched = await scope(self._access, principal, request.collection_ids)
        prefix, limit = folded(request.prefix).text, request.limit if request.HasField("limit") else _DEFAULT_LIMIT
        own, counts = await asyncio.gather(self._recent.of(principal), self._counts(principal, searched, prefix))
        recent = list(islice(_suggestions(((Suggestion.KIND_RECENT_QUERY, text) for text in own), prefix), limit))
        common = sorted(counts, key=lambda each: (-counts[each], each[1], each[0]))
        # Of these as many as there may be recent ones may say the same.
        others = list(islice(_suggestions(common, prefix), 2 * limit))
        said = {folded(each.text).text for each in recent}
        more = sum(folded(each.text).text not in said for each in others)
        recent = recent[: max((limit + 1) // 2, limit - more)]
        said = {folded(each.text).text for each in recent}
        rest = (each for each in others if folded(each.text).text not in said)
        return SuggestQueriesResponse(suggestions=[*recent, *islice(rest, limit - len(recent))])

    async def _counts(self, principal: Principal, searched: Scope, prefix: str) -> Counts:
        if not prefix:
            return {}
        found = await self._headings.find(index_queries(searched.collections), prefix)
        if found.missing and searched.is_named:
            # The worker creates an index with the first document and drops it with the collection: see which of both it is.
            await self._access.confirm(principal, found.missing)
        return found.counts


def _suggestions(texts: Iterable[_Text], prefix: str) -> Iterator[Suggestion]:
    """Yield those of the texts that have the prefix, of those that are the same when folded the first."""
    said = set()
    for kind, text in texts:
        match = matched(text, prefix)
        if (match or not prefix) and (same := folded(text).text) not in said:
            said.add(same)
            yield Suggestion(text=text, kind=kind, match=Highlight(start=match[0], end=match[1]) if match else None)
