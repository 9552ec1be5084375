"""JudgedSetService: users judge documents for queries."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from grpc import StatusCode
from sqlalchemy.ext.asyncio import AsyncSession

from libs.db.engine import Sessions
from libs.rpc import call
from libs.rpc.boundary import Context
from libs.rpc.errors import Failure, invalid, not_found
from libs.rpc.paging import Pager, page_size
from semantik.error.v1.error_reason_pb2 import ErrorReason
from semantik.search.v1 import judged_set_service_pb2 as messages
from semantik.search.v1 import judged_set_service_pb2_grpc
from services.search.collection_access import CollectionAccess
from services.search.evaluation.convert import judged_query_message, judged_query_row, judged_set_message, query_row
from services.search.evaluation.limits import MOST_BYTES, MOST_JUDGEMENTS, MOST_OF_A_QUERY, MOST_QUERIES, MOST_SETS, fitting, require_below
from services.search.evaluation.ownership import readable
from services.search.store import judged_sets
from services.search.tables import JudgedSet

_MARKED = "marked"


class JudgedSetServicer(judged_set_service_pb2_grpc.JudgedSetServiceServicer):
    def __init__(self, sessions: Sessions, access: CollectionAccess, pager: Pager) -> None:
        self._sessions = sessions
        self._access = access
        self._pager = pager

    async def CreateJudgedSet(self, request: messages.CreateJudgedSetRequest, context: Context) -> messages.CreateJudgedSetResponse:
        principal = call.principal()
        await self._access.readable(principal, [request.collection_id])
        async with self._sessions.begin() as session:
            await judged_sets.one_at_a_time(session, principal.user_id)
            if await judged_sets.named(session, principal.user_id, request.collection_id, request.name):
                message = f"you have a judged set named {request.name!r} for this collection already"
                raise Failure(StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_JUDGED_SET_EXISTS, message, {"name": request.name})
            require_below(await judged_sets.count(session, principal.user_id) + 1, MOST_SETS, "judged_sets")
            row = await judged_sets.add(session, principal.user_id, request.collection_id, request.name)
        return messages.CreateJudgedSetResponse(judged_set=judged_set_message(row))

    async def ListJudgedSets(self, request: messages.ListJudgedSetsRequest, context: Context) -> messages.ListJudgedSetsResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        before = (datetime.fromisoformat(str(cursor[0])), str(cursor[1])) if cursor else None
        await self._access.readable(principal, [request.collection_id])
        async with self._sessions() as session:
            rows = await judged_sets.listed(session, principal.user_id, request.collection_id, size + 1, before)
        page, token = self._pager.page(rows, size, lambda row: [row.create_time.isoformat(), row.id], request, principal)
        return messages.ListJudgedSetsResponse(judged_sets=map(judged_set_message, page), next_page_token=token)

    async def DeleteJudgedSet(self, request: messages.DeleteJudgedSetRequest, context: Context) -> messages.DeleteJudgedSetResponse:
        row = await self._own(request.judged_set_id)
        async with self._sessions.begin() as session:
            await judged_sets.remove(session, row.id)
        return messages.DeleteJudgedSetResponse()

    async def PutJudgedQueries(self, request: messages.PutJudgedQueriesRequest, context: Context) -> messages.PutJudgedQueriesResponse:
        if len({query.id for query in request.queries}) < len(request.queries):
            raise invalid("queries", "each must have another id")
        await self._own(request.judged_set_id)
        async with self._sessions.begin() as session:
            row = await _put(session, request.judged_set_id, [judged_query_row(query) for query in request.queries])
        return messages.PutJudgedQueriesResponse(judged_set=judged_set_message(row))

    async def ListJudgedQueries(self, request: messages.ListJudgedQueriesRequest, context: Context) -> messages.ListJudgedQueriesResponse:
        principal, size = call.principal(), page_size(request)
        cursor = self._pager.cursor(request, principal)
        row = await self._own(request.judged_set_id)
        async with self._sessions() as session:
            rows = await judged_sets.queries(session, row.id, size + 1, str(cursor[0]) if cursor else "")
        queries = [judged_query_message(row) for row in rows]
        page, token = self._pager.page(queries, fitting(queries, size), lambda query: [query.id], request, principal)
        return messages.ListJudgedQueriesResponse(queries=page, next_page_token=token)

    async def JudgeDocument(self, request: messages.JudgeDocumentRequest, context: Context) -> messages.JudgeDocumentResponse:
        principal = call.principal()
        await self._access.readable(principal, [request.collection_id])
        query_id = hashlib.sha256(request.query.encode()).hexdigest()[:16]
        async with self._sessions.begin() as session:
            await judged_sets.one_at_a_time(session, principal.user_id)
            row = await judged_sets.named(session, principal.user_id, request.collection_id, _MARKED)
            if row is None:
                require_below(await judged_sets.count(session, principal.user_id) + 1, MOST_SETS, "judged_sets")
                row = await judged_sets.add(session, principal.user_id, request.collection_id, _MARKED)
            before = await judged_sets.query(session, row.id, query_id)
            judgements = {**(before.judgements if before else {}), request.judgement.document: request.judgement.grade}
            require_below(len(judgements), MOST_OF_A_QUERY, "judgements_of_a_query")
            row = await _put(session, row.id, [query_row(query_id, request.query, judgements)])
        return messages.JudgeDocumentResponse(judged_set=judged_set_message(row))

    async def _own(self, judged_set_id: str) -> JudgedSet:
        principal = call.principal()
        async with self._sessions() as session:
            row = await judged_sets.get(session, principal.user_id, judged_set_id)
        return await readable(self._access, principal, "judged_set", judged_set_id, row)


async def _put(session: AsyncSession, judged_set_id: str, queries: Sequence[dict[str, Any]]) -> JudgedSet:
    row = await judged_sets.put(session, judged_set_id, queries)
    if row is None:
        raise not_found("judged_set", judged_set_id)
    require_below(row.query_count, MOST_QUERIES, "queries")
    require_below(row.judgement_count, MOST_JUDGEMENTS, "judgements")
    require_below(await judged_sets.size_bytes(session, judged_set_id), MOST_BYTES, "bytes")
    return row
