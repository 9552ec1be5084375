"""The search service and the engine see the same words."""

import re
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as q

from services.search.languages.language import language_of
from services.search.languages.stopwords import STOPWORDS
from services.search.words import Marks, words

_ROOT = Path(__file__).parents[3]
_WORD_OF_LETTERS = re.compile(r"[a-z]+")


_MORE = {
    "da": "hest heste hesten hestene hestens hus huse huset husene og eller ikke børn børnene barnet",
    "de": "Haus Häuser Hauses Häusern Dächer Dach Straße Straßen die der und größte größer Größe spielte gespielt spielen Kindes Kind",
    "es": "caballo caballos nacional nacionales rápidamente rápido las los y corriendo correr corre niños niña",
    "fi": "talo talot talossa talojen hevonen hevoset hevosen ja ei että lapset lapsi lapsen",
    "fr": "cheval chevaux national nationaux nationales les des et était mangeons manger mangé enfants enfant",
    "hu": "ház házak házban lovak ló lovat és nem hogy gyerekek gyerek gyereket",
    "it": "cavallo cavalli nazionale nazionali rapidamente rapida gli delle e correndo correre bambini bambina",
    "nl": "huis huizen paard paarden paardje de het en lopen loopt liep kinderen kind",
    "no": "hest hester hesten hestene hus huset husene og ikke som barn barna barnet",
    "pt": "cavalo cavalos nacional nacionais rapidamente rápida os das e correndo correr crianças criança",
    "ro": "cal cai caii național națională naționale și nu pentru copii copil copilul",
    "ru": "лошадь лошади лошадей дом дома домов и не что дети детей ребёнок быстро быстрый",
    "sv": "häst hästar hästarna hästens hus huset husen och inte som barn barnen barnet",
    "tr": "at atlar atlarda ev evler evlerin ve için değil çocuk çocuklar çocukta",
}


@pytest.mark.parametrize("code", _MORE)
async def test_words_of_other_languages_are_the_engines(client: AsyncQdrantClient, name: str, code: str) -> None:
    """The same words belong together, and the same are left out."""
    language = language_of(code)
    assert language.code == code
    wanted = sorted({match.group().lower() for match in words(f"{_MORE[code]} {STOPWORDS[language.name]}")})
    index = q.TextIndexParams(
        type=q.TextIndexType.TEXT,
        tokenizer=q.TokenizerType.WORD,
        lowercase=True,
        stemmer=q.SnowballParams(type=q.Snowball.SNOWBALL, language=q.SnowballLanguage(language.name)),
        stopwords=q.StopwordsSet(custom=sorted(language.stopwords)),
        scoring=q.TextScoringParams(type=q.TextScoringType.BM25),
    )
    await client.create_payload_index(name, "word", index, wait=True)
    await client.upsert(
        name, [q.PointStruct(id=number, vector={}, payload={"word": word}) for number, word in enumerate(wanted)], wait=True
    )
    requests = [q.QueryRequest(query=q.TextQuery(text=word), using="word", limit=100) for word in wanted]
    together = set()
    for word, answer in zip(wanted, await client.query_batch_points(name, requests), strict=True):
        marks = Marks(word, language)
        found = {wanted[int(point.id)] for point in answer.points}
        assert found == {other for other in wanted if marks[other]}, word
        together |= found if len(found) > 1 else set()
    assert together  # it is stemmed at all


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
