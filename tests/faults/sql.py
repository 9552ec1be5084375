"""Every statement of the harness: what Postgres says of documents, operations and counters."""

# Operations that have not ended, and work that operation has not yet taken.
UNFINISHED = """
SELECT id, kind, state, attempt, wait_reason, collection_id FROM operation.operations
WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
"""
UNSENT = "SELECT id, attempts, last_error, dead_time FROM collection.outbox"

OPERATIONS = "SELECT id, kind, state, attempt, fence, lease_owner, collection_id, error FROM operation.operations"
OPERATION = OPERATIONS + " WHERE id = %(id)s"
KNOWN = "SELECT id FROM operation.operations WHERE id = ANY(%(ids)s)"

# What each index of a generation in use must hold: points of this content version, numbered from 0.
EXPECTED = """
SELECT g.qdrant_name, i.document_id, i.indexed_version AS content_version, i.chunk_count
FROM collection.document_indexes i
JOIN collection.index_generations g ON g.collection_id = i.collection_id AND g.generation = i.generation
WHERE g.state <> 'DROPPING' AND i.indexed_version > 0
"""
# Documents whose points show what was noted on them before, though nothing is left to do.
STALE_METADATA = """
SELECT d.path FROM collection.document_indexes i JOIN collection.documents d ON d.id = i.document_id
WHERE i.metadata_is_stale AND i.indexed_version > 0 AND d.state = 'PRESENT'
"""
INDEXES = """
SELECT g.qdrant_name, c.id AS collection_id, c.name FROM collection.index_generations g
JOIN collection.collections c ON c.id = g.collection_id WHERE g.state <> 'DROPPING'
"""

# Documents of a generation in use without an end, but for those of a collection whose last work was cancelled or failed as a whole.
OPEN = """
SELECT d.id, d.path, COALESCE(i.state, 'without a state') AS state FROM collection.documents d
JOIN collection.index_generations g ON g.collection_id = d.collection_id AND g.state <> 'DROPPING'
LEFT JOIN collection.document_indexes i ON i.document_id = d.id AND i.generation = g.generation
WHERE d.state = 'PRESENT' AND COALESCE(i.state, 'PENDING') IN ('PENDING', 'PROCESSING') AND COALESCE((
  SELECT o.state FROM operation.operations o WHERE o.collection_id = d.collection_id AND o.finish_time IS NOT NULL
  AND o.kind IN ('INDEX', 'SYNC', 'APPEND', 'RETRY') ORDER BY o.finish_time DESC LIMIT 1
), 'SUCCEEDED') = 'SUCCEEDED'
"""
BUSY = "SELECT id, name, state FROM collection.collections WHERE state IN ('PROCESSING', 'DELETING')"

# A document as people see it: its state in the active generation.
DOCUMENTS = """
SELECT d.id, d.path, CASE WHEN d.state = 'DELETED' THEN 'DELETED' ELSE COALESCE(i.state, 'PENDING') END AS state,
  COALESCE(i.reason, '') AS reason, d.content_sha256, d.content_version, d.collection_id
FROM collection.documents d JOIN collection.collections c ON c.id = d.collection_id
LEFT JOIN collection.document_indexes i ON i.document_id = d.id AND i.generation = c.generation
"""
DOCUMENT = DOCUMENTS + " WHERE d.id = %(id)s"
OF_COLLECTION = DOCUMENTS + " WHERE d.collection_id = %(id)s"

# Counters beside the rows they count.
COLLECTION_COUNTERS = """
SELECT x.name AS subject, x.document_count, x.chunk_count, x.size_bytes, n.* FROM collection.collections x
CROSS JOIN LATERAL (
  SELECT count(*) AS documents, COALESCE(sum(i.chunk_count), 0)::bigint AS chunks, COALESCE(sum(i.size_bytes), 0)::bigint AS bytes
  FROM collection.documents d JOIN collection.collections c ON c.id = d.collection_id
  JOIN collection.sources s ON s.id = d.source_id AND s.delete_time IS NULL
  JOIN collection.document_indexes i ON i.document_id = d.id AND i.generation = c.generation AND i.indexed_version > 0
  WHERE d.collection_id = x.id AND d.state = 'PRESENT'
) n
WHERE x.state <> 'DELETING' AND (x.document_count, x.chunk_count, x.size_bytes) IS DISTINCT FROM (n.documents, n.chunks, n.bytes)
"""
SOURCE_COUNTERS = """
SELECT x.kind || ' ' || x.location AS subject, x.document_count, x.chunk_count, x.size_bytes, n.* FROM collection.sources x
CROSS JOIN LATERAL (
  SELECT count(*) AS documents, COALESCE(sum(i.chunk_count), 0)::bigint AS chunks, COALESCE(sum(i.size_bytes), 0)::bigint AS bytes
  FROM collection.documents d JOIN collection.collections c ON c.id = d.collection_id
  JOIN collection.sources s ON s.id = d.source_id AND s.delete_time IS NULL
  JOIN collection.document_indexes i ON i.document_id = d.id AND i.generation = c.generation AND i.indexed_version > 0
  WHERE d.source_id = x.id AND d.state = 'PRESENT'
) n
WHERE x.delete_time IS NULL AND (x.document_count, x.chunk_count, x.size_bytes) IS DISTINCT FROM (n.documents, n.chunks, n.bytes)
"""
# Chunks that no indexed document owns, and documents whose chunks are not all there.
CHUNKS = """
SELECT COALESCE(d.path, k.document_id, i.document_id) AS subject, COALESCE(k.content_version, i.content_version) AS content_version,
  COALESCE(k.chunks, 0) AS chunks, COALESCE(i.chunk_count, 0) AS expected
FROM (SELECT document_id, content_version, count(*) AS chunks FROM collection.chunks GROUP BY 1, 2) k
FULL JOIN (
  SELECT DISTINCT document_id, indexed_version AS content_version, chunk_count FROM collection.document_indexes WHERE indexed_version > 0
) i
ON k.document_id = i.document_id AND k.content_version = i.content_version
LEFT JOIN collection.documents d ON d.id = COALESCE(k.document_id, i.document_id)
WHERE COALESCE(k.chunks, 0) <> COALESCE(i.chunk_count, 0)
"""
ARTIFACT_KEYS = "SELECT object_key FROM collection.document_artifacts WHERE object_key IS NOT NULL"
# Objects on their way out, and those that should be gone already: they go every five minutes.
OBJECT_DELETIONS = "SELECT key, delete_time < clock_timestamp() - interval '15 minutes' AS is_late FROM collection.object_deletions"
# What deleted documents, sources that were removed, and writes that were cut off have left.
LEFT = """
SELECT d.path || ' is deleted and was not purged' AS subject FROM collection.documents d WHERE d.state = 'DELETED' AND d.purge_time IS NULL
UNION ALL SELECT d.path || ' is deleted and has artifacts' FROM collection.documents d
WHERE d.state = 'DELETED' AND EXISTS (SELECT 1 FROM collection.document_artifacts a WHERE a.document_id = d.id)
UNION ALL SELECT d.path || ' is deleted and has index rows' FROM collection.documents d
WHERE d.state = 'DELETED' AND EXISTS (SELECT 1 FROM collection.document_indexes i WHERE i.document_id = d.id)
UNION ALL SELECT 'the removed source ' || location || ' is still there' FROM collection.sources WHERE delete_time IS NOT NULL
UNION ALL SELECT 'a write of generation ' || generation || ' of ' || collection_id || ' is noted' FROM collection.index_writes
"""
# What the observers saw (mesh.py).
SEEN = "SELECT what, subject FROM faults.seen"

# Contents of a collection by place, to be compared with those of another.
CONTENTS = """
SELECT d.path, k.ordinal, k.text_sha256 FROM collection.chunks k JOIN collection.documents d ON d.id = k.document_id
WHERE k.collection_id = %(id)s AND d.state = 'PRESENT' ORDER BY 1, 2
"""
INDEXED_COUNT = """
SELECT count(*) AS documents FROM collection.document_indexes i
JOIN collection.collections c ON c.id = i.collection_id AND c.generation = i.generation
WHERE i.collection_id = %(id)s AND i.state = 'INDEXED'
"""
ROW_COUNT = "SELECT count(*) AS documents FROM collection.documents WHERE collection_id = %(id)s"
TOKENS = """
SELECT COALESCE(sum(i.token_count), 0)::bigint AS tokens FROM collection.document_indexes i
JOIN collection.collections c ON c.id = i.collection_id AND c.generation = i.generation
WHERE i.collection_id = %(id)s AND i.state = 'INDEXED'
"""
SOME_TEXTS = "SELECT text, token_count FROM collection.chunks WHERE collection_id = %(id)s ORDER BY document_id, ordinal LIMIT %(limit)s"
QDRANT_NAME = """
SELECT g.qdrant_name FROM collection.index_generations g
JOIN collection.collections c ON c.id = g.collection_id AND c.generation = g.generation WHERE c.id = %(id)s
"""
