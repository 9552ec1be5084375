"""What a model reads of a chunk: where it stands makes it found."""

from services.collection.chunking.chunk import Chunk

_NAME_CHARACTERS = 100
_LEAST_CHARACTERS = 8
_SPECIAL_TOKENS = 2
_CHARACTERS_A_TOKEN = 2  # of names, which models cut into small pieces


def in_context(name: str, chunk: Chunk, most_tokens: int) -> str:
    """Return a chunk's text below its document's name, or the beginning of it, unless the text begins so or fills what the model reads.

    Texts of JSON Lines have their title as name. ``most_tokens`` is what the model reads of a text.
    """
    room = _CHARACTERS_A_TOKEN * (most_tokens - _SPECIAL_TOKENS - chunk.token_count)
    shown = name[: min(_NAME_CHARACTERS, room)].strip() if room >= _LEAST_CHARACTERS else ""
    return f"{shown}\n{chunk.text}" if shown and not chunk.text.startswith(shown) else chunk.text
