"""Qdrant's Collections service over the embedded engine."""

import time
from typing import Any

import qdrant_edge as edge

from deploy.local.qdrant.protocol import messages as q
from deploy.local.qdrant.shards import Shards
from deploy.local.qdrant.values import only, payload, payload_message, unsupported

_DISTANCES = {q.Distance.Cosine: edge.Distance.Cosine, q.Distance.Dot: edge.Distance.Dot, q.Distance.Euclid: edge.Distance.Euclid}
_DATATYPES = {q.Datatype.Float32: edge.VectorStorageDatatype.Float32, q.Datatype.Float16: edge.VectorStorageDatatype.Float16}
# A server's defaults, as an answer shows them.
_HNSW = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
# No links: to compare the compressed vectors of 100,000 points one by one takes half the time of a graph, and finds all.
_NO_GRAPH = edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10_000)
_COMPRESSED = edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4, always_ram=True)
_HNSW_MORE = ("on_disk", "payload_m")
_OPTIMIZERS = ("deleted_threshold", "vacuum_min_vector_number", "default_segment_number", "max_segment_size", "indexing_threshold")
# What a server does by itself and an answer never shows.
_OPTIMIZERS_SILENT = ("memmap_threshold", "flush_interval_sec", "max_optimization_threads")
# Queries hold the interpreter's lock, so only segments of one query run side by side.
_SEARCH_THREADS = 2


class Collections(q.CollectionsServicer):  # type: ignore[misc]
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def Create(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        # Placement, replication and graphs are a server's business; what changes results is honoured or refused.
        known = ("collection_name", "hnsw_config", "optimizers_config", "vectors_config", "metadata", "on_disk_payload", "timeout")
        only(request, *known, "shard_number", "replication_factor", "write_consistency_factor", "wal_config")
        params = request.vectors_config.params_map.map
        vectors = {"": request.vectors_config.params} if request.vectors_config.HasField("params") else dict(params)
        only(request.optimizers_config, *_OPTIMIZERS, *_OPTIMIZERS_SILENT)
        hnsw = _hnsw(request.hnsw_config)
        engine = edge.EdgeConfig(
            vectors={name: _vector(vector) for name, vector in vectors.items()},
            hnsw_config=_NO_GRAPH,
            quantization_config=_COMPRESSED,
            optimizers=edge.EdgeOptimizersConfig(**_given(request.optimizers_config, _OPTIMIZERS)),
            on_disk_payload=request.on_disk_payload if request.HasField("on_disk_payload") else None,
            max_search_threads=_SEARCH_THREADS,
        )
        config = {
            "vectors": {name: _described(vector) for name, vector in vectors.items()},
            "hnsw": {name: hnsw[name] for name in _HNSW},
            "metadata": payload(request.metadata),
        }
        await self._shards.create(request.collection_name, engine, config)
        return q.CollectionOperationResponse(result=True, time=time.monotonic() - started)

    async def Delete(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        result = await self._shards.delete(request.collection_name)
        return q.CollectionOperationResponse(result=result, time=time.monotonic() - started)

    async def CollectionExists(self, request: Any, context: Any) -> Any:
        return q.CollectionExistsResponse(result=q.CollectionExists(exists=self._shards.folders.exists(request.collection_name)))

    async def List(self, request: Any, context: Any) -> Any:
        return q.ListCollectionsResponse(collections=[q.CollectionDescription(name=name) for name in self._shards.folders.names()])

    async def Get(self, request: Any, context: Any) -> Any:
        config = self._shards.folders.config(request.collection_name)
        info = await self._shards.read(request.collection_name, lambda shard: shard.info())
        vectors = {name: q.VectorParams(**each) for name, each in config["vectors"].items()}
        layout = q.VectorsConfig(params=vectors[""]) if "" in vectors else q.VectorsConfig(params_map=q.VectorParamsMap(map=vectors))
        return q.GetCollectionInfoResponse(
            result=q.CollectionInfo(
                status=q.CollectionStatus.Green,
                optimizer_status=q.OptimizerStatus(ok=True),
                segments_count=info.segments_count,
                points_count=info.points_count,
                indexed_vectors_count=info.indexed_vectors_count,
                payload_schema={name: _schema(each) for name, each in info.payload_schema.items()},
                config=q.CollectionConfig(
                    params=q.CollectionParams(shard_number=1, on_disk_payload=True, vectors_config=layout),
                    hnsw_config=q.HnswConfigDiff(**config["hnsw"]),
                    optimizer_config=q.OptimizersConfigDiff(
                        deleted_threshold=0.2, vacuum_min_vector_number=1000, default_segment_number=0, flush_interval_sec=5
                    ),
                    wal_config=q.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
                    metadata=payload_message(config["metadata"]),
                ),
            )
        )


def _distance(value: int) -> Any:
    if value not in _DISTANCES:
        raise unsupported(f"the distance {value}")
    return _DISTANCES[value]


def _vector(message: Any) -> Any:
    only(message, "size", "distance", "hnsw_config", "on_disk", "datatype")
    if message.HasField("datatype") and message.datatype not in _DATATYPES:
        raise unsupported(f"vectors of the type {message.datatype}")
    return edge.EdgeVectorParams(
        size=message.size,
        distance=_distance(message.distance),
        on_disk=message.on_disk if message.HasField("on_disk") else None,
        datatype=_DATATYPES[message.datatype] if message.HasField("datatype") else None,
    )


def _described(message: Any) -> dict[str, int]:
    datatype = {"datatype": message.datatype} if message.HasField("datatype") else {}
    return {"size": message.size, "distance": message.distance, **datatype}


def _hnsw(message: Any) -> dict[str, Any]:
    only(message, *_HNSW, *_HNSW_MORE, "max_indexing_threads")
    return {**_HNSW, **_given(message, (*_HNSW, *_HNSW_MORE))}


def _given(message: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(message, name) for name in names if message.HasField(name)}


def _schema(info: Any) -> Any:
    kind = str(info.data_type).rpartition(".")[2]
    return q.PayloadSchemaInfo(data_type=q.PayloadSchemaType.Value(kind), points=info.points)
