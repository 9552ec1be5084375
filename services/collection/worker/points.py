"""What is stored of an indexed document: its points in the index, its rows in the tables."""

import hashlib
from collections.abc import Iterator, Mapping

from libs.rpc.timestamps import timestamp
from semantik.search.v1.index_pb2 import Chunk
from services.collection.metadata import messages
from services.collection.store.indexing.commits import Indexed
from services.collection.tables import Generation
from services.collection.worker.reading import ChunkedDocument


def points(document: ChunkedDocument, vectors: Mapping[str, bytes]) -> Iterator[Chunk]:
    """Yield a document's chunks with their vectors, which are given by digest."""
    item = document.item
    noted = messages(item.metadata)
    for chunk, digest in zip(document.chunks, document.digests, strict=True):
        yield Chunk(
            document_id=item.document_id,
            source_id=item.source_id,
            content_version=item.content_version,
            ordinal=chunk.ordinal,
            text=chunk.text,
            start_offset=chunk.start,
            end_offset=chunk.end,
            path=item.path,
            name=item.name,
            mime_type=document.extracted.mime_type,
            language=document.language,
            size_bytes=item.size_bytes,
            modify_time=timestamp(item.modify_time),
            page=chunk.page,
            section=chunk.section,
            level=chunk.level,
            parent_ordinal=chunk.parent_ordinal,
            vector=vectors[digest],
            metadata=noted,
        )


def indexed(generation: Generation, document: ChunkedDocument) -> Indexed:
    """Return what the commit stores of a document."""
    item, extracted = document.item, document.extracted
    chunks = [
        {
            "collection_id": generation.collection_id,
            "document_id": item.document_id,
            "content_version": item.content_version,
            "chunking_id": generation.chunking_id,
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start_offset": chunk.start,
            "end_offset": chunk.end,
            "token_count": chunk.token_count,
            "text_sha256": hashlib.sha256(chunk.text.encode()).hexdigest(),
            "page": chunk.page,
            "section": chunk.section,
            "level": chunk.level,
            "parent_ordinal": chunk.parent_ordinal,
        }
        for chunk in document.chunks
    ]
    return Indexed(item, extracted.text, extracted.mime_type, document.language, extracted.is_truncated, chunks, document.token_count)
