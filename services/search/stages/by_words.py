"""Asks an index for the passages with a question's words: BM25, and more where words of the question follow each other."""

from typing import Any

from services.search.languages.language import ENGLISH, Language
from services.search.passage import TEXT
from services.search.qdrant import q
from services.search.words import pairs, with_parts

_SCORE = q.Expression(variable="$score")
# A passage with all pairs has this many times its score more.
_WEIGHT = 1.0


def by_words(text: str, common: dict[str, Any], language: Language = ENGLISH) -> dict[str, Any]:
    """Return the query, ``common`` being its filter and limit: BM25 x (1 + the share of the pairs that the passage has).

    After the sequential dependence model (Metzler and Croft, 2005), with shares in place of the pairs' statistics, which no engine keeps.
    """
    bm25 = {"query": q.Query(text=q.TextQuery(query=with_parts(text))), "using": TEXT, **common}
    phrases = [f"{first} {second}" for first, second in pairs(text, language)]
    if not phrases:
        return bm25
    conditions = [q.Condition(field=q.FieldCondition(key=TEXT, match=q.Match(phrase=phrase))) for phrase in phrases]
    share = _product(q.Expression(constant=_WEIGHT / len(phrases)), _sum(*(q.Expression(condition=each) for each in conditions)))
    score = _product(_SCORE, _sum(q.Expression(constant=1.0), share))
    return {"prefetch": [q.PrefetchQuery(**bm25)], "query": q.Query(formula=q.Formula(expression=score)), "limit": common["limit"]}


def _sum(*terms: Any) -> Any:
    return q.Expression(sum=q.SumExpression(sum=terms))


def _product(*factors: Any) -> Any:
    return q.Expression(mult=q.MultExpression(mult=factors))
