"""What the search service counts beside its RPCs."""

from prometheus_client import Counter, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0)
_ROUNDS = (1, 2, 3, 5, 10, 20)
_HITS = (0, 1, 2, 5, 10, 20, 50, 100)

stage_seconds = Histogram("semantik_search_stage_seconds", "Time of a search, by stage.", ("stage",), buckets=_SECONDS)
rounds = Histogram("semantik_search_rounds", "Times a search asked the indexes for lists, deeper each time.", buckets=_ROUNDS)
hits = Histogram("semantik_search_hits", "Hits of a search, by mode.", ("mode",), buckets=_HITS)
access = Counter("semantik_search_access_total", "Collections looked up for a search, by outcome: hit, miss, stale.", ("outcome",))
query_embeddings = Counter(
    "semantik_search_query_embeddings_total", "Vectors of questions that were needed, by outcome: hit, miss.", ("outcome",)
)
left_out = Counter("semantik_search_left_out_total", "Collections left out of a search because they were not available.", ("reason",))
write_seconds = Histogram("semantik_index_write_seconds", "Time of a write to an index, waiting included.", ("write",), buckets=_SECONDS)
points_written = Counter("semantik_index_points_written_total", "Points written to indexes.")
documents_published = Counter("semantik_index_documents_published_total", "Documents published, repeats included.")
documents_hidden = Counter("semantik_index_documents_hidden_total", "Documents hidden by id, repeats included.")
sources_hidden = Counter("semantik_index_sources_hidden_total", "Sources hidden as a whole, repeats included.")
fences_refused = Counter("semantik_index_fences_refused_total", "Writes refused because a newer claim has taken over.", ("write",))
store_errors = Counter("semantik_vector_store_errors_total", "Calls to Qdrant that failed.", ("method", "code"))
recent_queries = Counter(
    "semantik_search_recent_queries_total",
    "Recent queries of users, by outcome: written, lost, unread (reads that failed).",
    ("outcome",),
)
evaluated_queries = Counter("semantik_search_evaluated_queries_total", "Queries of evaluations that were answered.")
