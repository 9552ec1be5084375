"""Qdrant's payload index messages as the engine's."""

from typing import Any

import qdrant_edge as edge

from deploy.local.qdrant.protocol import messages as q
from deploy.local.qdrant.values import only, unsupported

_TOKENIZERS = {
    q.TokenizerType.Prefix: edge.TokenizerType.Prefix,
    q.TokenizerType.Whitespace: edge.TokenizerType.Whitespace,
    q.TokenizerType.Word: edge.TokenizerType.Word,
    q.TokenizerType.Multilingual: edge.TokenizerType.Multilingual,
}
# For each type: the engine's name, its parameters, which of the message's fields they take.
_PLAIN = {
    q.FieldType.FieldTypeKeyword: ("keyword", edge.KeywordIndexParams, ("is_tenant", "on_disk", "enable_hnsw", "prefix")),
    q.FieldType.FieldTypeInteger: ("integer", edge.IntegerIndexParams, ("lookup", "range", "is_principal", "on_disk", "enable_hnsw")),
    q.FieldType.FieldTypeFloat: ("float", edge.FloatIndexParams, ("is_principal", "on_disk", "enable_hnsw")),
    q.FieldType.FieldTypeBool: ("bool", edge.BoolIndexParams, ("on_disk", "enable_hnsw")),
    q.FieldType.FieldTypeDatetime: ("datetime", edge.DatetimeIndexParams, ("is_principal", "on_disk", "enable_hnsw")),
    q.FieldType.FieldTypeUuid: ("uuid", edge.UuidIndexParams, ("is_tenant", "on_disk", "enable_hnsw")),
}
_TEXT = ("lowercase", "min_token_len", "max_token_len", "phrase_matching", "ascii_folding", "on_disk", "enable_hnsw")


def payload_schema(message: Any) -> Any:
    """Return the engine's schema for a ``CreateFieldIndexCollection``; raises UNIMPLEMENTED for what it does not have."""
    params = message.field_index_params
    if message.field_type == q.FieldType.FieldTypeText:
        return _text(params.text_index_params)
    if message.field_type not in _PLAIN:
        raise unsupported(f"a payload index of type {message.field_type}")
    name, kind, known = _PLAIN[message.field_type]
    given = getattr(params, f"{name}_index_params")
    only(given, *known)
    # What a message without fields asks for is switched on by its presence.
    return kind(**{field.name: True if field.name == "prefix" else value for field, value in given.ListFields()})


def _text(params: Any) -> Any:
    only(params, *_TEXT, "tokenizer", "scoring", "stemmer", "stopwords")
    given = {name: getattr(params, name) for name in _TEXT if params.HasField(name)}
    if params.tokenizer in _TOKENIZERS:
        given["tokenizer"] = _TOKENIZERS[params.tokenizer]
    if params.HasField("stemmer"):
        given["stemmer"] = edge.SnowballParams(_language(edge.SnowballLanguage, params.stemmer.snowball.language))
    if params.HasField("stopwords"):
        languages = {_language(edge.Language, name) for name in params.stopwords.languages}
        given["stopwords"] = edge.StopwordsSet(languages=languages, custom=set(params.stopwords.custom))
    return edge.TextIndexParams(scoring=params.HasField("scoring"), **given)


def _language(known: Any, name: str) -> Any:
    language = getattr(known, name.capitalize(), None)
    if language is None:
        raise unsupported(f"the language {name}")
    return language
