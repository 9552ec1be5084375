"""Makes hits of candidates."""

from collections.abc import Sequence

from semantik.search.v1 import search_service_pb2 as messages
from services.search.passage import DENSE
from services.search.stages.best_sentence import add_best_sentences
from services.search.stages.candidate import Candidate
from services.search.stages.highlights import highlights
from services.search.stages.request import Plan
from services.search.words import Marks


def present(plan: Plan, candidates: Sequence[Candidate]) -> list[messages.Hit]:
    """Return the hits in the candidates' order, with the query's words and the best sentence marked."""
    marks = {language: Marks(plan.text, language) for language in {query.language for query in plan.queries}}
    languages = [plan.queries[candidate.key.query].language for candidate in candidates]
    hits = [_hit(plan, candidate, marks[language]) for candidate, language in zip(candidates, languages, strict=True)]
    add_best_sentences(hits, languages)
    return hits


def _hit(plan: Plan, candidate: Candidate, marks: Marks) -> messages.Hit:
    passage = candidate.passage
    return messages.Hit(
        collection_id=plan.queries[candidate.key.query].collection_id,
        document_id=passage.document_id,
        source_id=passage.source_id,
        path=passage.path,
        name=passage.name,
        mime_type=passage.mime_type,
        ordinal=passage.ordinal,
        text=passage.text,
        start_offset=passage.start_offset,
        end_offset=passage.end_offset,
        score=candidate.score,
        highlights=highlights(marks, passage.text),
        page=passage.page,
        section=passage.section,
        similarity=candidate.scores.get(DENSE),
        metadata=passage.metadata,
    )
