"""Cuts texts into chunks: one strategy to a file, one pass of the tokenizer for all of them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from services.collection.chunking import recursive
from services.collection.chunking.chunk import Chunk, ChunkInput
from services.collection.chunking.settings import ChunkSettings
from services.collection.chunking.tokens import TokenReader
from services.collection.landmarks import Landmarks

Strategy = Callable[[ChunkInput, ChunkSettings], list[Chunk]]

STRATEGIES: Mapping[str, Strategy] = {"recursive": recursive.chunks}


async def chunk(texts: Sequence[tuple[str, Landmarks]], tokens: TokenReader, settings: ChunkSettings) -> list[list[Chunk]]:
    """Return the chunks of each text, cut in a worker thread; raises KeyError for an unknown strategy.

    Give it many short texts at once: the cost of a call is shared. A text in which the tokenizer sees no token has no chunks.
    """
    return await asyncio.to_thread(chunk_texts, texts, tokens, settings)


def chunk_texts(texts: Sequence[tuple[str, Landmarks]], tokens: TokenReader, settings: ChunkSettings) -> list[list[Chunk]]:
    """Do what ``chunk`` does, in the calling thread."""
    strategy = STRATEGIES[settings.strategy]
    spans = tokens.spans([text for text, _ in texts])
    return [strategy(ChunkInput(text, spans[index], landmarks), settings) for index, (text, landmarks) in enumerate(texts)]
