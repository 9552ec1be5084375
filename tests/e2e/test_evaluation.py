"""Evaluations through the whole mesh: what they measure, whose they are, and how they end."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import grpc
import httpx
import psycopg
import pytest

from deploy.local.child import Child
from deploy.local.supervisor import Mesh
from semantik.client import Client, SemantikError
from semantik.collection.v1.collection_pb2 import Collection
from semantik.command.evaluating.judged_files import judgements, queries
from semantik.operation.v1.operation_pb2 import Operation
from semantik.search.v1 import search_service_pb2 as search
from semantik.search.v1.evaluation_pb2 import METRIC_NDCG, METRIC_PRECISION, METRIC_RECALL, METRIC_RECIPROCAL_RANK, Evaluation
from semantik.search.v1.rerank_pb2 import Rerank
from tests.conftest import Person
from tests.e2e.conftest import Command
from tests.e2e.faces import SOME_ID

CRANFIELD = Path(__file__).resolve().parents[3] / "shared" / "data" / "cranfield"
WORDS = search.SearchRequest(mode=search.SEARCH_MODE_KEYWORD)
TEXTS = {
    "zebra.txt": "A zebra has stripes.",
    "harbour.txt": "The lantern lights the harbour.",
    "cellar.txt": "Take a lantern to the cellar.",
    "tuba.md": "# Brass\n\nThe tuba is low.",
}
QUERIES = {"1": "zebra", "2": "violin", "3": "lantern", "4": "tuba"}
# What the fourth is judged by is not relevant, so that it is not measured.
JUDGEMENTS = {"1": {"zebra": 2}, "2": {"tuba": 1}, "3": {"harbour.txt": 1, "cellar.txt": 1}, "4": {"zebra": 0}}
EXPECTED = {
    (METRIC_NDCG, 10): 2 / 3,
    (METRIC_NDCG, 100): 2 / 3,
    (METRIC_RECIPROCAL_RANK, 100): 2 / 3,
    (METRIC_RECALL, 10): 2 / 3,
    (METRIC_RECALL, 100): 2 / 3,
    (METRIC_PRECISION, 10): 0.3 / 3,
    (METRIC_PRECISION, 100): 0.03 / 3,
}


@pytest.fixture
async def filled(ada: Person, collection: Collection, shelf: Path) -> Collection:
    for name, text in TEXTS.items():
        (shelf / name).write_text(text)
    _, operation = await ada.client.sources.add(collection.id, str(shelf))
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    return collection


@pytest.fixture
async def judged(ada: Person, filled: Collection) -> str:
    judged_set = await ada.client.evaluations.create_set(filled.id, "small")
    assert await ada.client.evaluations.put(judged_set.id, {**QUERIES, "5": "without"}, JUDGEMENTS) == 4
    return judged_set.id


async def _ended(client: Client, judged_set_id: str, configuration: search.SearchRequest | None = None) -> Evaluation:
    evaluation, operation = await client.evaluations.start(judged_set_id, configuration)
    assert (await client.operations.wait(operation.id)).state == Operation.STATE_SUCCEEDED
    return await client.evaluations.get(evaluation.id)


async def test_an_evaluation_measures_what_one_computes_by_hand(ada: Person, filled: Collection, judged: str) -> None:
    """By words, which find one document, none, and two; the values say by which index they came about."""
    evaluation, operation = await ada.client.evaluations.start(judged, WORDS, name="words")
    operation = await ada.client.operations.wait(operation.id)
    progress = operation.progress
    assert (operation.kind, operation.collection_id) == (Operation.KIND_EVALUATE, "")
    assert (progress.queries_done, progress.queries_total, progress.percent) == (3, 3, 100)
    evaluation = await ada.client.evaluations.get(evaluation.id)
    values = {(each.metric, each.cutoff): each.value for each in evaluation.measurements}
    assert values == pytest.approx(EXPECTED)
    assert all(each.low <= each.value <= each.high for each in evaluation.measurements)
    assert (evaluation.name, evaluation.query_count, evaluation.generation) == ("words", 3, filled.generation)
    assert (evaluation.model, evaluation.search.mode) == (filled.model, search.SEARCH_MODE_KEYWORD)
    first, second, third = [answer async for answer in ada.client.evaluations.answers(evaluation.id)]
    assert ([(each.document, each.rank, each.grade) for each in first.found], list(first.missed)) == ([("zebra", 1, 2)], [])
    assert (list(second.found), list(second.missed), second.document_count) == ([], ["tuba"], 0)
    assert {each.document for each in third.found} == {"harbour.txt", "cellar.txt"}
    assert [each.id async for each in ada.client.evaluations.list(filled.id)] == [evaluation.id]


async def test_two_configurations_are_compared_query_by_query(ada: Person, judged: str) -> None:
    """Against itself nothing differs; what was judged otherwise since is left out."""
    words = await _ended(ada.client, judged, WORDS)
    narrow = search.SearchRequest(mode=search.SEARCH_MODE_KEYWORD, filter_text="-zebra")
    narrowed = await _ended(ada.client, judged, narrow)
    answer = await ada.client.evaluations.compare(narrowed.id, words.id)
    assert (answer.query_count, answer.left_out_count) == (3, 0)
    [first] = [each for each in answer.differences if (each.metric, each.cutoff) == (METRIC_NDCG, 10)]
    assert (first.value, first.baseline, first.difference) == pytest.approx((1 / 3, 2 / 3, -1 / 3))
    assert (first.better_count, first.worse_count, first.equal_count) == (0, 1, 2)
    assert [(each.id, each.value, each.baseline) for each in answer.queries] == [("1", 0.0, 1.0)]
    same = await ada.client.evaluations.compare(words.id, words.id, METRIC_RECALL)
    assert (list(same.queries), {each.difference for each in same.differences}) == ([], {0.0})
    await ada.client.evaluations.put(judged, {"1": "zebra"}, {"1": {"zebra": 1}})
    again = await ada.client.evaluations.compare((await _ended(ada.client, judged, WORDS)).id, words.id)
    assert (again.query_count, again.left_out_count) == (2, 2)


async def test_a_hit_is_judged_while_one_searches(ada: Person, filled: Collection) -> None:
    """The last judgement of a document stands; what has no relevant document cannot be measured."""
    client = ada.client
    judged_set = await client.evaluations.judge(filled.id, "striped animals", "tuba.md", 0)
    with pytest.raises(SemantikError) as refusal:
        await client.evaluations.start(judged_set.id)
    assert (refusal.value.code, refusal.value.reason) == ("FAILED_PRECONDITION", "STATE_CONFLICT")
    [hit] = (await client.search("striped animals", [filled.id], limit=1)).hits
    for grade in (1, 3):
        judged_set = await client.evaluations.judge(filled.id, "striped animals", hit.path, grade)
    assert (judged_set.name, judged_set.query_count, judged_set.judgement_count) == ("marked", 1, 2)
    [query] = [query async for query in client.evaluations.queries(judged_set.id)]
    assert {each.document: each.grade for each in query.judgements} == {"tuba.md": 0, "zebra.txt": 3}
    evaluation = await _ended(client, judged_set.id)
    assert evaluation.measurements[0].value == 1.0


async def test_the_same_request_is_the_same_evaluation(ada: Person, judged: str) -> None:
    """And another one under its id is refused; a deleted one is measured again."""
    first, operation = await ada.client.evaluations.start(judged, WORDS, request_id="nightly")
    again, same = await ada.client.evaluations.start(judged, WORDS, request_id="nightly")
    assert (again.id, same.id) == (first.id, operation.id)
    with pytest.raises(SemantikError) as refusal:
        await ada.client.evaluations.start(judged, request_id="nightly")
    assert refusal.value.reason == "REQUEST_ID_REUSED"
    await ada.client.operations.wait(operation.id)
    await ada.client.evaluations.delete(first.id)
    again, other = await ada.client.evaluations.start(judged, WORDS, request_id="nightly")
    assert (await ada.client.operations.wait(other.id)).progress.queries_done == 3
    assert (await ada.client.evaluations.get(again.id)).HasField("finish_time")


@pytest.mark.parametrize(
    ("configuration", "field"),
    [
        (search.SearchRequest(query="mine"), "search.query"),
        (search.SearchRequest(limit=5), "search.limit"),
        (search.SearchRequest(collection_ids=[SOME_ID]), "search.collection_ids"),
        (search.SearchRequest(filter_text="colour:red"), "filter_text"),
        (search.SearchRequest(min_similarity=3.0), "search.min_similarity"),
        (search.SearchRequest(mode=search.SEARCH_MODE_KEYWORD, min_similarity=0.5), "min_similarity"),
    ],
)
async def test_a_configuration_that_no_search_may_have_is_refused(
    ada: Person, judged: str, configuration: search.SearchRequest, field: str
) -> None:
    """Before anything is started, with the field."""
    with pytest.raises(SemantikError) as refusal:
        await ada.client.evaluations.start(judged, configuration)
    assert (refusal.value.code, refusal.value.field) == ("INVALID_ARGUMENT", field)


async def test_what_every_search_is_refused_for_ends_an_evaluation(ada: Person, judged: str) -> None:
    """Here that no cross-encoder is installed; nothing is tried again."""
    _, operation = await ada.client.evaluations.start(judged, search.SearchRequest(rerank=Rerank(model="none")))
    operation = await ada.client.operations.wait(operation.id)
    assert (operation.state, operation.attempt, operation.progress.queries_done) == (Operation.STATE_FAILED, 0, 0)
    assert operation.error.code == grpc.StatusCode.NOT_FOUND.value[0]


async def test_an_evaluation_is_its_owners_as_long_as_the_collection_is_readable(
    ada: Person, stranger: Person, judged: str, filled: Collection, http: httpx.AsyncClient, rows: psycopg.AsyncConnection
) -> None:
    """To a stranger each id is one that nobody has, even where the collection is public; so it is to Ada once that is gone."""
    evaluation = await _ended(ada.client, judged, WORDS)
    calls = {
        "JUDGED_SET_NOT_FOUND": [
            ("GET", f"/v1/judged-sets/{judged}/queries", ""),
            ("POST", f"/v1/judged-sets/{judged}/queries", '{"queries": [{"id": "1", "text": "x"}]}'),
            ("DELETE", f"/v1/judged-sets/{judged}", ""),
            ("POST", "/v1/evaluations", json.dumps({"judgedSetId": judged})),
        ],
        "EVALUATION_NOT_FOUND": [
            ("GET", f"/v1/evaluations/{evaluation.id}", ""),
            ("GET", f"/v1/evaluations/{evaluation.id}/queries", ""),
            ("GET", f"/v1/evaluations/{evaluation.id}:compare?baseline_evaluation_id={evaluation.id}", ""),
            ("DELETE", f"/v1/evaluations/{evaluation.id}", ""),
        ],
    }

    async def refusals(headers: dict[str, str]) -> None:
        for reason, of in calls.items():
            for verb, path, body in of:
                real = await http.request(verb, path, content=body, headers=headers)
                unknown = await http.request(verb, _nobodys(path), content=_nobodys(body), headers=headers)
                assert _nobodys(real.text) == unknown.text
                assert (real.status_code, real.json()["details"][0]["reason"]) == (404, reason)

    def _nobodys(text: str) -> str:
        return text.replace(judged, SOME_ID).replace(evaluation.id, SOME_ID)

    await refusals(stranger.headers)
    with pytest.raises(SemantikError):
        await stranger.client.operations.get(evaluation.operation_id)
    await ada.client.collections.update(filled.id, is_public=True)
    await refusals(stranger.headers)
    assert [each async for each in stranger.client.evaluations.list(filled.id)] == []
    assert [each async for each in stranger.client.evaluations.list_sets(filled.id)] == []
    deletion = await ada.client.collections.delete(filled.id)
    await ada.client.operations.wait(deletion.id)
    await _gone(lambda: ada.client.evaluations.get(evaluation.id))
    await refusals(ada.headers)
    left = "SELECT id FROM search.evaluations WHERE collection_id = %s UNION SELECT id FROM search.judged_sets WHERE collection_id = %s"
    assert await (await rows.execute(left, (filled.id, filled.id))).fetchall() == []


async def test_a_collection_that_is_not_readable_any_more_ends_it(ada: Person, stranger: Person, filled: Collection) -> None:
    """In the middle, and for good; what was found is not shown any more."""
    await ada.client.collections.update(filled.id, is_public=True)
    judged_set = await stranger.client.evaluations.create_set(filled.id, "many")
    many = {f"{number:04}": f"lantern {number}" for number in range(3000)}
    await stranger.client.evaluations.put(judged_set.id, many, {key: {"cellar": 1} for key in many})
    evaluation, operation = await stranger.client.evaluations.start(judged_set.id, WORDS)
    async for each in stranger.client.operations.watch(operation.id):
        if each.progress.queries_done:
            break
    await ada.client.collections.update(filled.id, is_public=False)
    operation = await stranger.client.operations.wait(operation.id)
    assert (operation.state, operation.error.code) == (Operation.STATE_FAILED, grpc.StatusCode.NOT_FOUND.value[0])
    assert 0 < operation.progress.queries_done < 3000
    await _gone(lambda: stranger.client.evaluations.get(evaluation.id))


async def test_a_cancelled_one_goes_on_where_it_stopped(ada: Person, judged: str, rows: psycopg.AsyncConnection) -> None:
    """By RetryOperation; what was answered is not asked again."""
    many = {f"{number:04}": f"lantern {number}" for number in range(500)}
    await ada.client.evaluations.put(judged, many, {key: {"cellar": 1} for key in many})
    evaluation, operation = await ada.client.evaluations.start(judged, WORDS)
    async for each in ada.client.operations.watch(operation.id):
        if each.progress.queries_done:
            break
    await ada.client.operations.cancel(operation.id)
    assert (await ada.client.operations.wait(operation.id)).state == Operation.STATE_CANCELLED
    before = await _answered(rows, evaluation.id)
    assert 0 < len(before) < 503
    with pytest.raises(SemantikError) as refusal:
        await ada.client.evaluations.compare(evaluation.id, evaluation.id)
    assert refusal.value.reason == "STATE_CONFLICT"
    retried = await ada.client.operations.retry(operation.id)
    assert (await ada.client.operations.wait(retried.id)).progress.queries_done == 503
    after = await _answered(rows, evaluation.id)
    assert (len(after), after.items() >= before.items()) == (503, True)
    again = await ada.client.evaluations.get(evaluation.id)
    assert (again.operation_id, again.HasField("finish_time")) == (retried.id, True)


async def test_a_killed_process_loses_nothing_and_counts_nothing_twice(
    mesh: Mesh, ada: Person, judged: str, rows: psycopg.AsyncConnection
) -> None:
    """SIGKILL right after the hundredth answer: the next process goes on from there."""
    many = {f"{number:04}": f"lantern {number}" for number in range(150)}
    await ada.client.evaluations.put(judged, many, {key: {"cellar": 1, "harbour": 1} for key in many})
    [child] = [child for child in mesh.children if child.spec.name == "search"]
    await child.stop()
    environment = {**child.spec.environment, "EVALUATION_FAILPOINTS": "after_answer:kill@100"}
    doomed = Child(replace(child.spec, environment=environment), mesh.home.logs)
    doomed.start()
    try:
        await doomed.wait_ready(60)
        # A read is repeated until the gateway has connected again; a start is not.
        assert [each.id async for each in ada.client.evaluations.queries(judged)]
        evaluation, started = await ada.client.evaluations.start(judged, WORDS)
        before: dict[str, object] = {}
        async for operation in ada.client.operations.watch(started.id):
            if operation.state == Operation.STATE_QUEUED and doomed.restarts:
                before = await _answered(rows, evaluation.id)
        assert doomed.restarts == 1
    finally:
        await doomed.stop()
        child.start()
        await child.wait_ready(60)
    assert (operation.state, operation.progress.queries_done, len(before)) == (Operation.STATE_SUCCEEDED, 153, 100)
    after = await _answered(rows, evaluation.id)
    assert (len(after), after.items() >= before.items()) == (153, True)
    evaluation = await ada.client.evaluations.get(evaluation.id)
    assert evaluation.measurements[0].value == pytest.approx(152 / 153)


async def test_another_generation_of_the_index_ends_it(ada: Person, judged: str, rows: psycopg.AsyncConnection) -> None:
    """Half of the answers would be of one index and half of the other."""
    evaluation, operation = await ada.client.evaluations.start(judged, search.SearchRequest(rerank=Rerank(model="none")))
    await ada.client.operations.wait(operation.id)
    await rows.execute("UPDATE search.evaluations SET generation = 7, search = '{}' WHERE id = %s", (evaluation.id,))
    retried = await ada.client.operations.retry(operation.id)
    retried = await ada.client.operations.wait(retried.id)
    assert (retried.state, retried.error.code) == (Operation.STATE_FAILED, grpc.StatusCode.FAILED_PRECONDITION.value[0])
    assert await _answered(rows, evaluation.id) == {}


async def test_one_user_keeps_only_so_much(ada: Person, judged: str, filled: Collection) -> None:
    """Of sets and of judgements of a query; names are unique, ids of one call too."""
    client = ada.client.evaluations
    with pytest.raises(SemantikError) as refusal:
        await client.create_set(filled.id, "small")
    assert refusal.value.reason == "JUDGED_SET_EXISTS"
    for number in range(19):
        await client.create_set(filled.id, f"set {number}")
    with pytest.raises(SemantikError) as refusal:
        await client.create_set(filled.id, "one more")
    assert (refusal.value.reason, refusal.value.metadata) == ("QUOTA_EXCEEDED", {"limit": "judged_sets"})
    assert len([each async for each in client.list_sets(filled.id)]) == 20
    many = {f"{number}": "text" for number in range(101)}
    with pytest.raises(SemantikError) as refusal:
        await client.put(judged, many, {key: {f"{document}": 1 for document in range(1000)} for key in many})
    assert (refusal.value.reason, refusal.value.metadata) == ("QUOTA_EXCEEDED", {"limit": "judgements"})
    with pytest.raises(SemantikError) as refusal:
        await client.put(judged, {"1": "text"}, {"1": {"a\0b": 1}})
    assert (refusal.value.code, refusal.value.field) == ("INVALID_ARGUMENT", "queries.judgements.document")
    assert [len(query.judgements) async for query in client.queries(judged)] == [1, 1, 2, 1]


@pytest.mark.usefixtures("filled")
async def test_the_command_imports_runs_compares_and_is_a_gate(semantik: Command, ada: Person, tmp_path: Path) -> None:
    """From files in BEIR's layout to JSON, a picture and an exit code."""
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "queries.jsonl").write_text("".join(json.dumps({"_id": key, "text": text}) + "\n" for key, text in QUERIES.items()))
    lines = [f"{key}\t{document}\t{grade}\n" for key, judged in JUDGEMENTS.items() for document, grade in judged.items()]
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    await semantik("login", ada.user.username)
    code, [judged_set] = await semantik("eval", "judged", "import", folder, "-c", "papers")
    assert (code, judged_set["name"], judged_set["queryCount"]) == (0, "small", 4)
    picture = tmp_path / "plot.svg"
    both = ("--with", "mode=keyword", "--with", "mode=keyword filter=-zebra", "--plot", picture)
    code, [report] = await semantik("eval", "run", "small", "-c", "papers", *both, "--at-least", "0.5")
    assert code == 1
    assert [each["measurements"][0]["value"] for each in report["evaluations"]] == pytest.approx([2 / 3, 1 / 3])
    assert report["comparisons"][0]["queries"][0]["id"] == "1"
    assert picture.read_text().startswith("<svg ")
    words, narrowed = (each["id"] for each in report["evaluations"])
    for at_least, expected in (("0.6", 0), ("0.7", 1)):
        assert (await semantik("eval", "show", words[:8], "-c", "papers", "--at-least", at_least))[0] == expected
    assert (await semantik("eval", "compare", words, narrowed, "--no-worse"))[0] == 0
    code, [[first, second]] = await semantik("eval", "list", "-c", "papers")
    assert (code, {first["id"], second["id"]}) == (0, {words, narrowed})
    code, [marked] = await semantik("eval", "judged", "mark", "zebra", "-c", "papers", "--hit", "1", "--mode", "keyword")
    assert (code, marked["name"]) == (0, "marked")
    assert (await semantik("eval", "run", "marked", "-c", "papers", "--at-least", "1", "--metric", "mrr@100"))[0] == 0
    assert (await semantik("eval", "run", "nothing", "-c", "papers"))[0] == 4
    assert (await semantik("eval", "run", "small", "-c", "papers", "--with", "mode=loud"))[0] == 2
    assert (await semantik("eval", "delete", words))[0] == 0
    assert (await semantik("eval", "show", words))[0] == 4


@pytest.mark.skipif(not CRANFIELD.exists(), reason=f"there is no judged set at {CRANFIELD}")
async def test_a_judged_set_of_the_field_is_measured(ada: Person, collection: Collection, library: Path) -> None:
    """Cranfield by words: well above what chance finds, and as sure as 225 queries make it."""
    folder = library / "cranfield"
    folder.mkdir()
    (folder / "corpus.jsonl").write_bytes((CRANFIELD / "corpus.jsonl").read_bytes())
    _, operation = await ada.client.sources.add(collection.id, str(folder))
    await ada.client.operations.wait(operation.id)
    judged_set = await ada.client.evaluations.create_set(collection.id, "cranfield")
    assert await ada.client.evaluations.put(judged_set.id, queries(CRANFIELD), judgements(CRANFIELD)) == 225
    evaluation = await _ended(ada.client, judged_set.id, WORDS)
    first = evaluation.measurements[0]
    assert (evaluation.query_count, first.metric, first.cutoff) == (225, METRIC_NDCG, 10)
    assert first.value > 0.5
    assert 0.02 < first.high - first.low < 0.12


async def _answered(rows: psycopg.AsyncConnection, evaluation_id: str) -> dict[str, object]:
    """Return when each answered query was answered."""
    statement = "SELECT id, update_time FROM search.evaluated_queries WHERE evaluation_id = %s AND found IS NOT NULL"
    return dict(await (await rows.execute(statement, (evaluation_id,))).fetchall())


async def _gone(call: Callable[[], Awaitable[object]]) -> None:
    """Wait until what was kept about the permission has ended."""
    async with asyncio.timeout(20):
        while await _is_there(call):  # noqa: ASYNC110 - the end of a permission is no event
            await asyncio.sleep(0.1)


async def _is_there(call: Callable[[], Awaitable[object]]) -> bool:
    try:
        await call()
    except SemantikError as error:
        if error.code != "NOT_FOUND":
            raise
        return False
    return True
