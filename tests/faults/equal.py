"""Two collections of the same folder, compared passage by passage: place, text and vector."""

import math
from collections.abc import Sequence
from typing import Any

from qdrant_client import AsyncQdrantClient

from tests.faults import sql
from tests.faults.mesh import LocalMesh

_LEAST_COSINE = 0.98
_PAGE = 500


async def differences(mesh: LocalMesh, first_id: str, second_id: str) -> list[str]:
    """Return what differs; equal means equal texts, and vectors with a cosine of at least 0.98."""
    first, second = [
        {(row["path"], row["ordinal"]): row["text_sha256"] for row in await mesh.rows(sql.CONTENTS, {"id": key})}
        for key in (first_id, second_id)
    ]
    found = [f"only one has {key}" for key in first.keys() ^ second.keys()]
    found += [f"{key} has another text" for key in first.keys() & second.keys() if first[key] != second[key]]
    ours, theirs = await _vectors(mesh, first_id), await _vectors(mesh, second_id)
    for key in ours.keys() & theirs.keys():
        similarity = _cosine(ours[key], theirs[key])
        if not similarity >= _LEAST_COSINE:
            found.append(f"{key} has another vector (cosine {similarity:.4f})")
    return found + [f"only one has a vector of {key}" for key in ours.keys() ^ theirs.keys()]


async def _vectors(mesh: LocalMesh, collection_id: str) -> dict[tuple[str, int], Sequence[float]]:
    [row] = await mesh.rows(sql.QDRANT_NAME, {"id": collection_id})
    vectors: dict[tuple[str, int], Sequence[float]] = {}
    client = AsyncQdrantClient(
        host="127.0.0.1",
        grpc_port=mesh.process("qdrant").port,
        prefer_grpc=True,
        https=False,
        api_key=mesh.home.secret("qdrant-api-key"),
        check_compatibility=False,
    )
    try:
        offset: Any = None
        while True:
            records, offset = await client.scroll(
                row["qdrant_name"], limit=_PAGE, offset=offset, with_payload=["path", "ordinal"], with_vectors=True
            )
            for record in records:
                if record.payload and "path" in record.payload and isinstance(record.vector, dict):
                    place = record.payload["path"], record.payload.get("ordinal", 0)
                    vectors[place] = record.vector["dense"]  # type: ignore[assignment]
            if offset is None:
                return vectors
    finally:
        await client.close()


def _cosine(first: Sequence[float], second: Sequence[float]) -> float:
    norms = math.hypot(*first) * math.hypot(*second)
    return sum(a * b for a, b in zip(first, second, strict=True)) / norms if norms else math.nan
