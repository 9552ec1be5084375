"""Every statement of the harness: what Postgres says of documents, operations and counters."""

# Operations that have not ended, and work that operation has not yet taken.
UNFINISHED = """
SELECT id, kind, state, attempt, wait_reason, collection_id FROM operation.operations
WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
"""
UNSENT = "SELECT id FROM collection.pending_starts WHERE acknowledge_time IS NULL"

OPERATIONS = "SELECT id, kind, state, attempt, fence, lease_owner, collection_id, error FROM operation.operations"
OPERATION = OPERATIONS + " WHERE id = %(id)s"
KNOWN = "SELECT id FROM operation.operations WHERE id = ANY(%(ids)s)"

# What each index of a generation in use must hold: points of this content version, numbered from 0.
EXPECTED = """
SELECT g.qdrant_name, i.document_id, i.content_version, i.chunk_count
FROM collection.document_indexes i
JOIN collection.documents d ON d.id = i.document_id
JOIN collection.index_generations g ON g.collection_id = d.collection_id AND g.generation = i.generation
WHERE g.state <> 'DROPPING' AND d.state = 'INDEXED'
"""
INDEXES = """
SELECT g.qdrant_name, c.id AS collection_id, c.name FROM collection.index_generations g
JOIN collection.collections c ON c.id = g.collection_id WHERE g.state <> 'DROPPING'
"""

# Documents without an end, but for those of a collection whose last work was cancelled or failed as a whole.
OPEN = """
SELECT d.id, d.path, d.state FROM collection.documents d
WHERE d.state IN ('PENDING', 'PROCESSING') AND COALESCE((
  SELECT o.state FROM operation.operations o WHERE o.collection_id = d.collection_id AND o.finish_time IS NOT NULL
  AND o.kind IN ('INDEX', 'SYNC', 'APPEND', 'REMOVE_SOURCE', 'PURGE') ORDER BY o.finish_time DESC LIMIT 1
), 'SUCCEEDED') = 'SUCCEEDED'
"""
WAITING = "SELECT id FROM collection.documents WHERE state IN ('PENDING', 'PROCESSING')"
BUSY = "SELECT id, name, state FROM collection.collections WHERE state IN ('PROCESSING', 'DELETING')"

DOCUMENTS = """
SELECT d.id, d.path, d.state, COALESCE(d.reason, '') AS reason, d.content_sha256, d.content_version, d.collection_id
FROM collection.documents d
"""
DOCUMENT = DOCUMENTS + " WHERE d.id = %(id)s"
OF_COLLECTION = DOCUMENTS + " WHERE d.collection_id = %(id)s"

# Counters beside the rows they count.
COLLECTION_COUNTERS = """
SELECT c.name AS subject, c.document_count, c.chunk_count, c.size_bytes, n.documents, n.chunks, n.bytes
FROM collection.collections c CROSS JOIN LATERAL (
  SELECT count(*) AS documents, COALESCE(sum(d.chunk_count), 0)::bigint AS chunks, COALESCE(sum(d.size_bytes), 0)::bigint AS bytes
  FROM collection.documents d WHERE d.collection_id = c.id AND d.state = 'INDEXED'
) n
WHERE c.state <> 'DELETING' AND (c.document_count, c.chunk_count, c.size_bytes) IS DISTINCT FROM (n.documents, n.chunks, n.bytes)
"""
SOURCE_COUNTERS = """
SELECT s.kind || ' ' || s.location AS subject, s.document_count, n.documents
FROM collection.sources s CROSS JOIN LATERAL (
  SELECT count(*) AS documents FROM collection.documents d WHERE d.source_id = s.id AND d.state = 'INDEXED'
) n
WHERE s.delete_time IS NULL AND s.document_count <> n.documents
"""
# Chunks that no indexed document owns, and documents whose chunks are not all there.
CHUNKS = """
SELECT COALESCE(d.path, k.document_id) AS subject, k.content_version, k.chunks, COALESCE(i.chunk_count, 0) AS expected
FROM (SELECT document_id, content_version, count(*) AS chunks FROM collection.chunks GROUP BY 1, 2) k
FULL JOIN (
  SELECT DISTINCT i.document_id, i.content_version, i.chunk_count FROM collection.document_indexes i
  JOIN collection.documents d ON d.id = i.document_id WHERE d.state = 'INDEXED'
) i
USING (document_id, content_version)
LEFT JOIN collection.documents d ON d.id = document_id
WHERE COALESCE(k.chunks, 0) <> COALESCE(i.chunk_count, 0) AND COALESCE(d.state, '') NOT IN ('PENDING', 'PROCESSING')
"""
ARTIFACT_KEYS = "SELECT object_key FROM collection.document_artifacts WHERE object_key IS NOT NULL"
# What deleted documents, and sources that were removed, have left.
LEFT_BY_DELETED = """
SELECT d.path AS subject, (SELECT count(*) FROM collection.document_artifacts a WHERE a.document_id = d.id) AS artifacts,
  (SELECT count(*) FROM collection.document_indexes i WHERE i.document_id = d.id) AS indexes
FROM collection.documents d WHERE d.state = 'DELETED' AND (
  EXISTS (SELECT 1 FROM collection.document_artifacts a WHERE a.document_id = d.id)
  OR EXISTS (SELECT 1 FROM collection.document_indexes i WHERE i.document_id = d.id))
"""
LEFT_BY_SOURCES = "SELECT location AS subject FROM collection.sources WHERE delete_time IS NOT NULL"
CACHED = "SELECT count(*) AS vectors FROM collection.embedding_cache"
# What the observers saw (mesh.py).
SEEN = "SELECT what, subject FROM faults.seen"

# Contents of a collection by place, to be compared with those of another.
CONTENTS = """
SELECT d.path, k.ordinal, k.text_sha256 FROM collection.chunks k JOIN collection.documents d ON d.id = k.document_id
WHERE k.collection_id = %(id)s AND d.state = 'INDEXED' ORDER BY 1, 2
"""
INDEXED_COUNT = "SELECT count(*) AS documents FROM collection.documents WHERE collection_id = %(id)s AND state = 'INDEXED'"
ROW_COUNT = "SELECT count(*) AS documents FROM collection.documents WHERE collection_id = %(id)s"
TOKENS = (
    "SELECT COALESCE(sum(token_count), 0)::bigint AS tokens FROM collection.documents WHERE collection_id = %(id)s AND state = 'INDEXED'"
)
SOME_TEXTS = "SELECT text, token_count FROM collection.chunks WHERE collection_id = %(id)s ORDER BY document_id, ordinal LIMIT %(limit)s"
QDRANT_NAME = """
SELECT g.qdrant_name FROM collection.index_generations g
JOIN collection.collections c ON c.id = g.collection_id AND c.generation = g.generation WHERE c.id = %(id)s
"""
