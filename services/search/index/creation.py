"""How an index is laid out in Qdrant."""

from collections.abc import Iterable
from typing import Any

import grpc
from grpc import StatusCode

from services.search.languages.language import ENGLISH, Language
from services.search.metadata import NUMBERS, TEXTS, TIMES
from services.search.passage import (
    DENSE,
    DOCUMENT,
    EXTENSION,
    FOLDED_NAME,
    FOLDED_PATH,
    FOLDERS,
    HIDDEN,
    LANGUAGE,
    MIME_TYPE,
    MODIFY_TIME,
    NAME,
    SECTION,
    SECTION_WORDS,
    SIZE,
    SOURCE,
    TEXT,
    TITLE_WORDS,
    VERSION,
    vector_invalid,
)
from services.search.qdrant import Qdrant, q
from services.search.replication import Placement

_KEYWORD = {"field_type": q.FieldType.FieldTypeKeyword}
# Prefixes and parts of its values are found by the index too.
_KEYWORD_PARTS = {
    **_KEYWORD,
    "field_index_params": q.PayloadIndexParams(keyword_index_params=q.KeywordIndexParams(prefix=q.KeywordPrefixParams())),
}
_INTEGER = {"field_type": q.FieldType.FieldTypeInteger}
# What is never looked up by its value takes half the memory so.
_RANGE = {
    **_INTEGER,
    "field_index_params": q.PayloadIndexParams(integer_index_params=q.IntegerIndexParams(lookup=False, range=True)),
}
_DATETIME = {"field_type": q.FieldType.FieldTypeDatetime}
# Every beginning of a word, up to 20 characters, is found at once, and so is how many points have it.
_BEGINNINGS = {
    "field_type": q.FieldType.FieldTypeText,
    "field_index_params": q.PayloadIndexParams(
        text_index_params=q.TextIndexParams(
            tokenizer=q.TokenizerType.Prefix, lowercase=True, min_token_len=1, max_token_len=20, enable_hnsw=False
        )
    ),
}
_METADATA: dict[str, dict[str, Any]] = {TEXTS: _KEYWORD, NUMBERS: {"field_type": q.FieldType.FieldTypeFloat}, TIMES: _DATETIME}
_PAYLOAD_INDEXES: dict[str, dict[str, Any]] = {
    **dict.fromkeys((DOCUMENT, SOURCE, LANGUAGE, EXTENSION, FOLDERS, NAME, SECTION), _KEYWORD),
    **dict.fromkeys((MIME_TYPE, FOLDED_PATH, FOLDED_NAME), _KEYWORD_PARTS),
    **dict.fromkeys((TITLE_WORDS, SECTION_WORDS), _BEGINNINGS),
    **dict.fromkeys((HIDDEN, VERSION), _INTEGER),
    SIZE: _RANGE,
    MODIFY_TIME: _DATETIME,
}
_HNSW = q.HnswConfigDiff(m=16, ef_construct=512)
# HNSW past 20,000 kB of vectors in a segment, vectors on disk past 50,000 kB.
_OPTIMIZERS = q.OptimizersConfigDiff(indexing_threshold=20_000, memmap_threshold=50_000)


async def create(qdrant: Qdrant, name: str, dimension: int, language: Language, placement: Placement) -> bool:
    """Create an index, or complete one whose creation was cut off; return whether it is new.

    ``language`` and ``placement`` are those of a new one.

    Raises VECTOR_INVALID if it is there with vectors of another length.
    """
    is_new = not await _exists(qdrant, name) and await _create_collection(qdrant, name, dimension, placement)
    info = (await qdrant.collections("Get", q.GetCollectionInfoRequest(collection_name=name))).result
    stored = info.config.params.vectors_config.params_map.map[DENSE].size
    if stored != dimension:
        raise vector_invalid(f"the index has vectors of {stored} numbers, not {dimension}")
    # Before the first point: HNSW and BM25 then cover all of them.
    for field, index in _PAYLOAD_INDEXES.items():
        if field not in info.payload_schema:
            request = q.CreateFieldIndexCollection(collection_name=name, wait=True, field_name=field, **index)
            await qdrant.points("CreateFieldIndex", request)
    if TEXT not in info.payload_schema:
        await index_words(qdrant, name, language)
    return is_new


async def index_words(qdrant: Qdrant, name: str, language: Language) -> None:
    """Index the words of all texts, in place of an index of them in another language."""
    # Of English the engine has the list, and of older indexes too.
    stopwords = q.StopwordsSet(languages=[ENGLISH.name]) if language is ENGLISH else q.StopwordsSet(custom=sorted(language.stopwords))
    params = q.TextIndexParams(
        tokenizer=q.TokenizerType.Word,
        lowercase=True,
        phrase_matching=True,
        stemmer=q.StemmingAlgorithm(snowball=q.SnowballParams(language=language.name)),
        stopwords=stopwords,
        scoring=q.TextScoringParams(type=q.TextScoringType.Bm25),
        # Else each common word has a graph of its own: most of a build's time, for filters by phrases that rarely keep many.
        enable_hnsw=False,
    )
    request = q.CreateFieldIndexCollection(
        collection_name=name,
        wait=True,
        field_name=TEXT,
        field_type=q.FieldType.FieldTypeText,
        field_index_params=q.PayloadIndexParams(text_index_params=params),
    )
    await qdrant.points("CreateFieldIndex", request)


async def index_metadata(qdrant: Qdrant, name: str, fields: Iterable[str]) -> None:
    """Index fields of metadata; one that is indexed stays as it is."""
    for field in fields:
        index = _METADATA[field.partition(".")[0]]
        await qdrant.points("CreateFieldIndex", q.CreateFieldIndexCollection(collection_name=name, wait=True, field_name=field, **index))


async def drop(qdrant: Qdrant, name: str) -> None:
    """Drop an index; one that is missing is dropped already."""
    await qdrant.collections("Delete", q.DeleteCollection(collection_name=name))


async def names(qdrant: Qdrant) -> list[str]:
    """Return the names of all indexes, in order."""
    return sorted(each.name for each in (await qdrant.collections("List", q.ListCollectionsRequest())).collections)


async def _exists(qdrant: Qdrant, name: str) -> bool:
    answer = await qdrant.collections("CollectionExists", q.CollectionExistsRequest(collection_name=name))
    return bool(answer.result.exists)


async def _create_collection(qdrant: Qdrant, name: str, dimension: int, placement: Placement) -> bool:
    # Half the bytes of 32-bit floats, two thirds of the time to compare all of them, and the same order (recall@100 0.9997).
    vectors = {DENSE: q.VectorParams(size=dimension, distance=q.Distance.Cosine, datatype=q.Datatype.Float16)}
    request = q.CreateCollection(
        collection_name=name,
        vectors_config=q.VectorsConfig(params_map=q.VectorParamsMap(map=vectors)),
        hnsw_config=_HNSW,
        optimizers_config=_OPTIMIZERS,
        on_disk_payload=True,
        **placement.fields(),
    )
    try:
        await qdrant.collections("Create", request)
    except grpc.aio.AioRpcError as error:
        if error.code() is not StatusCode.ALREADY_EXISTS:
            raise
        return False  # another replica was quicker
    return True
