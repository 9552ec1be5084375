"""Embeds a query, once for each model among the indexes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from libs.rpc.errors import Failure
from services.search.stages.availability import attempted
from services.search.stages.request import Model, Plan
from services.search.vectors.embeddings import Embeddings
from services.search.vectors.spread import Spread


class Embedded(NamedTuple):
    """The query's vectors as little-endian 32-bit floats, how similar unrelated texts are, and the models that are not available."""

    vectors: Mapping[Model, bytes]
    unrelated: Mapping[Model, Spread | None]
    failures: Mapping[Model, Failure]


async def embed(embeddings: Embeddings, plan: Plan, vector: Callable[[Model], Awaitable[bytes]]) -> Embedded:
    """Return what ``vector`` makes of the query for each model of the plan."""
    models = sorted(plan.models)
    vectors = await asyncio.gather(*(attempted(vector(model)) for model in models))
    made = {model: each for model, each in zip(models, vectors, strict=True) if not isinstance(each, Failure)}
    failures = {model: each for model, each in zip(models, vectors, strict=True) if isinstance(each, Failure)}
    unrelated = await asyncio.gather(*(embeddings.unrelated(model) for model in made))
    return Embedded(made, dict(zip(made, unrelated, strict=True)), failures)
