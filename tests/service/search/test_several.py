"""Several collections in one search: all that may be read, and what of them is not available."""

import shutil
import uuid
from collections.abc import Awaitable, Callable

import psycopg
import pytest

from deploy.local.supervisor import Mesh
from semantik.client.errors import SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.search.v1.search_service_pb2 import SearchResponse
from semantik.search.v1.search_warning_pb2 import SearchWarning
from services.search.collection_access import MOST_COLLECTIONS
from services.search.passage import DENSE
from services.search.qdrant import Qdrant, q
from tests.conftest import Person
from tests.service.search.conftest import Fill

_WHALES = ["The blue whale is the largest animal.", "Whales breathe air."]
_MODES = ["semantic", "keyword", "hybrid"]


def _texts(response: SearchResponse) -> set[str]:
    return {hit.text for hit in response.hits}


async def _refused(call: Awaitable[object]) -> tuple[str, str, str]:
    with pytest.raises(SemantikError) as refusal:
        await call
    return refusal.value.code, refusal.value.reason, refusal.value.message


@pytest.mark.parametrize("mode", _MODES)
async def test_without_names_all_that_may_be_read_is_searched(
    ada: Person, stranger: Person, collection: Collection, fill: Fill, mode: str
) -> None:
    """One's own and what others have granted, and nothing else; who may read nothing finds nothing."""
    word = f"whale{uuid.uuid4().hex[:8]}"
    own = await stranger.client.collections.create("own")
    await fill(stranger, own, [f"the {word} of the stranger"])
    assert not _texts(await ada.client.search(word, mode=mode))
    await fill(ada, collection, [f"the {word} of ada"])
    assert _texts(await ada.client.search(word, mode="keyword")) == {f"the {word} of ada"}
    assert _texts(await stranger.client.search(word, mode=mode)) == {f"the {word} of the stranger"}
    found = await ada.client.search(word, mode=mode)
    assert {hit.collection_id for hit in found.hits} == {collection.id}
    assert not found.warnings


async def test_what_was_deleted_meanwhile_is_no_error_where_nothing_is_named(ada: Person, collection: Collection, fill: Fill) -> None:
    """Although the list of what may be read is still kept."""
    other = await ada.client.collections.create("other")
    await fill(ada, other, _WHALES)
    await fill(ada, collection, _WHALES)
    assert len((await ada.client.search("whale")).hits) == 4
    operation = await ada.client.collections.delete(other.id)
    await ada.client.operations.wait(operation.id)
    assert {hit.collection_id for hit in (await ada.client.search("whale")).hits} == {collection.id}


async def test_of_very_many_those_that_changed_last_are_searched(
    person: Callable[[], Awaitable[Person]], fill: Fill, rows: psycopg.AsyncConnection
) -> None:
    """With a warning that there are more."""
    ada = await person()
    created = [await ada.client.collections.create(f"number {number}") for number in range(2)]
    for each in created:
        await fill(ada, each, [f"a whale in {each.name}"])
    await rows.execute(
        "INSERT INTO collection.collections SELECT (jsonb_populate_record(known, jsonb_build_object('id', gen_random_uuid(), "
        "'name', 'filler ' || number, 'update_time', now() - interval '1 day'))).* "
        "FROM collection.collections known, generate_series(1, %s) number WHERE known.id = %s",
        (MOST_COLLECTIONS - 1, created[0].id),
    )
    await rows.execute(
        "INSERT INTO collection.index_generations SELECT (jsonb_populate_record(known, jsonb_build_object("
        "'collection_id', made.id, 'qdrant_name', made.id))).* FROM collection.index_generations known, collection.collections made "
        "WHERE known.collection_id = %s AND made.owner_id = %s AND made.name LIKE 'filler %%'",
        (created[0].id, ada.user.id),
    )
    await rows.execute("UPDATE collection.collections SET update_time = now() - interval '2 days' WHERE id = %s", (created[0].id,))
    found = await ada.client.search("whale")
    assert {hit.collection_id for hit in found.hits} == {created[1].id}
    assert [warning.kind for warning in found.warnings] == [SearchWarning.KIND_COLLECTIONS_LIMITED]


@pytest.mark.parametrize("mode", ["semantic", "hybrid"])
@pytest.mark.parametrize("is_named", [True, False])
async def test_one_whose_model_is_away_is_left_out_with_a_warning(
    ada: Person, collection: Collection, fill: Fill, rows: psycopg.AsyncConnection, mode: str, is_named: bool
) -> None:
    """The others are found; alone it is an error, and words need no model."""
    other = await ada.client.collections.create("other")
    await fill(ada, collection, _WHALES)
    await fill(ada, other, ["a whale without its model"])
    await rows.execute("UPDATE collection.index_generations SET model = 'gone' WHERE collection_id = %s", (other.id,))
    ids = [other.id, collection.id] if is_named else []
    found = await ada.client.search("whale", ids, mode=mode, explain=True)
    assert _texts(found) == set(_WHALES)
    [warning] = found.warnings
    assert warning.kind == SearchWarning.KIND_COLLECTION_UNAVAILABLE
    assert (warning.collection_id, warning.reason) == (other.id, "MODEL_MISMATCH")
    searched = {index.collection_id for index in found.explanation.indexes}
    assert (collection.id in searched, other.id in searched) == (True, False)
    assert (await _refused(ada.client.search("whale", [other.id], mode=mode)))[:2] == ("FAILED_PRECONDITION", "MODEL_MISMATCH")
    assert len((await ada.client.search("whale", ids, mode="keyword")).hits) == 3


@pytest.mark.parametrize("mode", _MODES)
async def test_one_whose_index_is_away_is_left_out_with_a_warning(
    ada: Person, collection: Collection, fill: Fill, rows: psycopg.AsyncConnection, mesh: Mesh, qdrant: Qdrant, mode: str
) -> None:
    """The others are found; alone it is an error."""
    other = await ada.client.collections.create("other")
    await fill(ada, collection, _WHALES)
    broken = f"broken-{uuid.uuid4().hex}"
    vectors = q.VectorsConfig(params_map=q.VectorParamsMap(map={DENSE: q.VectorParams(size=384, distance=q.Distance.Cosine)}))
    await qdrant.collections("Create", q.CreateCollection(collection_name=broken, vectors_config=vectors))
    shutil.rmtree(mesh.home.vectors / broken / "shard-0")
    await rows.execute("UPDATE collection.index_generations SET qdrant_name = %s WHERE collection_id = %s", (broken, other.id))
    found = await ada.client.search("whale", [other.id, collection.id], mode=mode)
    assert _texts(found) == set(_WHALES)
    [warning] = found.warnings
    assert (warning.collection_id, warning.reason) == (other.id, "DEPENDENCY_UNAVAILABLE")
    with pytest.raises(SemantikError):
        await ada.client.search("whale", [other.id], mode=mode)


@pytest.mark.abuse(7)
@pytest.mark.parametrize("mode", _MODES)
async def test_one_that_may_not_be_read_fails_all_as_one_that_never_was(
    ada: Person, stranger: Person, collection: Collection, fill: Fill, rows: psycopg.AsyncConnection, mode: str
) -> None:
    """Also where it is not available: no warning says that it exists."""
    own = await stranger.client.collections.create("own")
    await fill(stranger, own, _WHALES)
    await fill(ada, collection, _WHALES)
    await rows.execute("UPDATE collection.index_generations SET model = 'gone' WHERE collection_id = %s", (collection.id,))
    never = str(uuid.uuid4())
    for ids in ([collection.id], [own.id, collection.id]):
        refused = await _refused(stranger.client.search("whale", ids, mode=mode))
        as_never = await _refused(stranger.client.search("whale", [never if each == collection.id else each for each in ids], mode=mode))
        assert refused == (as_never[0], as_never[1], as_never[2].replace(never, collection.id))
    found = await stranger.client.search("whale", mode=mode)
    assert {hit.collection_id for hit in found.hits} == {own.id}
    assert not found.warnings
