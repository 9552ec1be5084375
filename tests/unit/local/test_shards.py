"""The engine's open collections: how many there are at a time, and that closing one loses nothing."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge

from deploy.local.qdrant.folders import Folders
from deploy.local.qdrant.shards import Shards

_MOST = 3
_NAMES = [f"c{number}" for number in range(8)]


@pytest.fixture
async def shards(tmp_path: Path) -> Shards:
    """Eight collections with a point each, of which three may be open."""
    shards = Shards(Folders(tmp_path, 0), _MOST)
    vectors = {"dense": edge.EdgeVectorParams(size=2, distance=edge.Distance.Cosine)}
    for name in _NAMES:
        await shards.create(name, edge.EdgeConfig(vectors=vectors, max_search_threads=1), {})
        point = edge.Point(str(uuid.uuid4()), {"dense": [1.0, 0.0]}, {})
        await shards.write(name, edge.UpdateOperation.upsert_points([point]), points=1)
    return shards


def _count(shard: Any) -> int:
    return int(shard.info().points_count)


async def test_few_are_open_and_what_was_written_to_the_others_is_there(shards: Shards) -> None:
    """The one that was unused for longest is closed, with all that was written to it, and opened again when it is asked."""
    assert sorted(shards.opened()) == _NAMES[-_MOST:]
    assert [await shards.read(name, _count) for name in _NAMES] == [1] * len(_NAMES)
    await asyncio.gather(*(shards.read(name, _count) for name in reversed(_NAMES)))
    assert len(shards.opened()) <= _MOST
    await shards.close()


async def test_what_is_in_use_stays_open(shards: Shards) -> None:
    """However many others are asked for meanwhile."""
    held = shards.opened()[_NAMES[-1]]
    with held.used() as shard:
        for name in _NAMES[:-1]:
            await shards.read(name, _count)
        assert shards.opened()[_NAMES[-1]] is held
        assert _count(shard) == 1
    await shards.close()
