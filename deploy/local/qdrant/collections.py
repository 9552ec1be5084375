"""Qdrant's Collections service over the embedded engine."""

import time
from typing import Any

import qdrant_edge as edge

from deploy.local.qdrant.protocol import messages as q
from deploy.local.qdrant.shards import Shards
from deploy.local.qdrant.values import only, payload, payload_message, unsupported

_DISTANCES = {q.Distance.Cosine: edge.Distance.Cosine, q.Distance.Dot: edge.Distance.Dot, q.Distance.Euclid: edge.Distance.Euclid}
_HNSW = ("m", "ef_construct", "full_scan_threshold")
_M, _EF_CONSTRUCT, _FULL_SCAN_KB = 16, 100, 10_000


class Collections(q.CollectionsServicer):  # type: ignore[misc]
    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def Create(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        # Placement, sharding and replication are a server's business; what changes results is honoured or refused.
        known = ("collection_name", "hnsw_config", "optimizers_config", "vectors_config", "metadata", "on_disk_payload", "timeout")
        only(request, *known, "shard_number", "replication_factor", "write_consistency_factor", "wal_config")
        params = request.vectors_config.params_map.map
        vectors = {"": request.vectors_config.params} if request.vectors_config.HasField("params") else dict(params)
        for vector in vectors.values():
            only(vector, "size", "distance", "hnsw_config", "on_disk")
        engine = edge.EdgeConfig(
            vectors={
                name: edge.EdgeVectorParams(size=vector.size, distance=_distance(vector.distance)) for name, vector in vectors.items()
            },
            hnsw_config=_hnsw(request.hnsw_config),
            on_disk_payload=request.on_disk_payload,
        )
        config = {
            "vectors": {name: {"size": vector.size, "distance": vector.distance} for name, vector in vectors.items()},
            "metadata": payload(request.metadata),
        }
        await self._shards.create(request.collection_name, engine, config)
        return q.CollectionOperationResponse(result=True, time=time.monotonic() - started)

    async def Delete(self, request: Any, context: Any) -> Any:
        started = time.monotonic()
        result = await self._shards.delete(request.collection_name)
        return q.CollectionOperationResponse(result=result, time=time.monotonic() - started)

    async def CollectionExists(self, request: Any, context: Any) -> Any:
        return q.CollectionExistsResponse(result=q.CollectionExists(exists=self._shards.exists(request.collection_name)))

    async def List(self, request: Any, context: Any) -> Any:
        return q.ListCollectionsResponse(collections=[q.CollectionDescription(name=name) for name in self._shards.names()])

    async def Get(self, request: Any, context: Any) -> Any:
        config = self._shards.config(request.collection_name)
        info = await self._shards.read(request.collection_name, lambda shard: shard.info())
        vectors = {name: q.VectorParams(size=each["size"], distance=each["distance"]) for name, each in config["vectors"].items()}
        layout = q.VectorsConfig(params=vectors[""]) if "" in vectors else q.VectorsConfig(params_map=q.VectorParamsMap(map=vectors))
        return q.GetCollectionInfoResponse(
            result=q.CollectionInfo(
                status=q.CollectionStatus.Green,
                optimizer_status=q.OptimizerStatus(ok=True),
                segments_count=info.segments_count,
                points_count=info.points_count,
                indexed_vectors_count=info.indexed_vectors_count,
                config=q.CollectionConfig(
                    params=q.CollectionParams(shard_number=1, on_disk_payload=True, vectors_config=layout),
                    hnsw_config=q.HnswConfigDiff(m=_M, ef_construct=_EF_CONSTRUCT, full_scan_threshold=_FULL_SCAN_KB),
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


def _hnsw(message: Any) -> Any:
    given = {name: getattr(message, name) for name in _HNSW if message.HasField(name)}
    return edge.HnswIndexConfig(**{"m": _M, "ef_construct": _EF_CONSTRUCT, "full_scan_threshold": _FULL_SCAN_KB, **given})
