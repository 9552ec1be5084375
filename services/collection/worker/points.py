"""What is stored of an indexed document: its points in the index, its rows in the tables."""

from libs.rpc.timestamps import timestamp
from semantik.search.v1 import index_internal_service_pb2 as messages
from services.collection.chunking.chunk import Chunk
from services.collection.store.indexing import Indexed
from services.collection.worker.job import Job
from services.collection.worker.reading import Passages


def point(read: Passages, chunk: Chunk, vector: bytes) -> messages.Chunk:
    document = read.document
    return messages.Chunk(
        document_id=document.id,
        source_id=document.source_id,
        content_version=document.content_version,
        ordinal=chunk.ordinal,
        text=chunk.text,
        start_offset=chunk.start,
        end_offset=chunk.end,
        path=document.path,
        name=document.name,
        mime_type=read.extracted.mime_type,
        language=document.language,
        size_bytes=document.size_bytes,
        modify_time=timestamp(document.source_modify_time),
        page=chunk.page,
        section=chunk.section,
        vector=vector,
    )


def indexed(job: Job, read: Passages) -> Indexed:
    chunks = [
        {
            "collection_id": read.document.collection_id,
            "document_id": read.document.id,
            "content_version": read.document.content_version,
            "chunking_id": job.generation.chunking_id,
            "ordinal": chunk.ordinal,
            "text": chunk.text,
            "start_offset": chunk.start,
            "end_offset": chunk.end,
            "token_count": chunk.token_count,
            "text_sha256": digest,
            "page": chunk.page,
            "section": chunk.section,
        }
        for chunk, digest in zip(read.chunks, read.digests, strict=True)
    ]
    return Indexed(read.document, read.extracted.text, read.extracted.mime_type, read.extracted.is_truncated, chunks, read.token_count)
