"""The search service and the engine see the same words."""

import re
from pathlib import Path

from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from services.search.words import Marks, words

_ROOT = Path(__file__).parents[3]
_WORD_OF_LETTERS = re.compile(r"[a-z]+")


async def test_stems_and_stopwords_are_the_engines(client: AsyncQdrantClient, name: str) -> None:
    """Of every word of these documents and of Snowball's exceptions: the same words belong together, the same are left out."""
    texts = [
        (_ROOT / document).read_text()
        for document in ("DECISIONS.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "services/search/words.py")
    ]
    more = "dying die lying lie tying tie skies sky news howe atlas andes generous general university universe succeed proceed exceed"
    wanted = sorted(
        {match.group().lower() for match in words(" ".join([*texts, more])) if _WORD_OF_LETTERS.fullmatch(match.group().lower())}
    )
    await client.create_payload_index(
        name,
        "word",
        q.TextIndexParams(
            type=q.TextIndexType.TEXT,
            tokenizer=q.TokenizerType.WORD,
            lowercase=True,
            stemmer=q.SnowballParams(type=q.Snowball.SNOWBALL, language=q.SnowballLanguage.ENGLISH),
            stopwords=q.StopwordsSet(languages=[q.Language.ENGLISH]),
            scoring=q.TextScoringParams(type=q.TextScoringType.BM25),
        ),
        wait=True,
    )
    await client.upsert(
        name, [q.PointStruct(id=number, vector={}, payload={"word": word}) for number, word in enumerate(wanted)], wait=True
    )
    assert len(wanted) > 1500
    for start in range(0, len(wanted), 200):
        page = wanted[start : start + 200]
        requests = [q.QueryRequest(query=q.TextQuery(text=word), using="word", limit=100) for word in page]
        for word, answer in zip(page, await client.query_batch_points(name, requests), strict=True):
            marks = Marks(word)
            assert {wanted[int(point.id)] for point in answer.points} == {other for other in wanted if marks[other]}, word
