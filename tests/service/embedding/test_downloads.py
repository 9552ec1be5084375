"""Models come from the hub whole or not at all, whether or not a client watches."""

import asyncio
import json
import threading
from collections.abc import Callable

import grpc
import httpx
import onnx
import psutil
import pytest
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from onnx import TensorProto, helper, numpy_helper

from libs.rpc.errors import reason_of
from semantik.embedding.v1 import embedding_service_pb2 as embedding
from semantik.embedding.v1 import model_pb2
from semantik.embedding.v1 import model_service_pb2 as messages
from semantik.embedding.v1.model_service_pb2 import Download
from services.embedding.catalog.families import family
from tests.conftest import Person
from tests.service.embedding import tiny
from tests.service.embedding.conftest import Own, Start
from tests.service.embedding.hub import Hub, Repository, closed_port

FILES = ["1_Pooling/config.json", "config.json", "model.safetensors", "modules.json", "semantik.json", "tokenizer.json"]


def _reason(error: Status) -> tuple[str, dict[str, str]]:
    info = error_details_pb2.ErrorInfo()
    assert error.details[0].Unpack(info)
    return info.reason, dict(info.metadata)


def _changed(name: str, change: Callable[[bytes], bytes]) -> dict[str, bytes]:
    files = tiny.files()
    return {**files, name: change(files[name])}


async def test_the_languages_of_a_card_are_shown(hub: Hub, own: Own) -> None:
    """A list of codes; what is no code is left out."""
    hub.repositories["acme/Many"] = Repository(tiny.files(), languages=["multilingual", "DE", "zh-Hant", "<b>", ""])
    answers = [answer async for answer in own.start("acme/Many")]
    assert answers[-1].model.languages == ["multilingual", "de", "zh-hant"]


async def test_a_model_is_downloaded_and_embeds(hub: Hub, own: Own) -> None:
    """Its progress is told before it is whole; only what is needed is fetched, from one commit; the token stays with the hub."""
    gate = threading.Event()
    hub.repositories["acme/Moon"] = repository = Repository(tiny.files(), tags=("bert", "license:apache-2.0"), languages="en", gate=gate)
    states = []
    async for answer in own.start("acme/Moon"):
        states.append(answer.download)
        if answer.download.total_bytes:
            gate.set()
    whole = sum(len(repository.files[name]) for name in FILES if name in repository.files)
    assert (states[0].model_id, states[0].state, states[0].done_bytes) == ("moon", Download.STATE_RUNNING, 0)
    assert {state.state for state in states[:-1]} == {Download.STATE_RUNNING}
    assert any(0 < state.done_bytes < state.total_bytes == whole for state in states)
    last = states[-1]
    assert (last.state, last.done_bytes, last.total_bytes, last.commit) == (Download.STATE_SUCCEEDED, whole, whole, repository.commit)
    directory = own.model_dir / "moon"
    assert sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()) == FILES
    model = answer.model
    assert (model.id, model.source, model.license) == ("moon", f"acme/Moon@{repository.commit}", "Apache-2.0")
    assert model.languages == ["en"]
    assert (model.dimension, model.pooling, model.state) == (tiny.WIDTH, model_pb2.Model.POOLING_CLS, model_pb2.Model.STATE_ON_DISK)
    texts = embedding.EmbedRequest(texts=["the moon", "the tides"], model="moon")
    answer = await own.embedding.Embed(texts, metadata=own.metadata)
    assert (answer.digest, [len(vector.values) for vector in answer.embeddings]) == (model.digest, [tiny.WIDTH] * 2)
    assert [vector.token_count for vector in answer.embeddings] == [4, 5]
    asked = [request for request in hub.requests if "acme/Moon" in request.path]
    assert {request.authorization for request in asked if request.path.startswith("/stored/")} == {""}
    assert {request.authorization for request in asked if not request.path.startswith("/stored/")} == {"Bearer hf_secret"}
    assert not [request for request in asked if "pytorch_model" in request.path or "quantized" in request.path]
    assert all(repository.commit in request.path for request in asked if "/resolve/" in request.path)


async def test_a_download_goes_on_without_its_watcher(hub: Hub, own: Own) -> None:
    """The same request joins it, and gets the answer at once when it is done: the hub is asked once."""
    gate = threading.Event()
    hub.repositories["acme/left"] = repository = Repository(tiny.files(1), gate=gate)
    leaving = own.start("acme/left")
    async for answer in leaving:
        if answer.download.commit:
            leaving.cancel()
            break
    joined = own.start("acme/left", revision="main", model_id="left")
    first = await anext(aiter(joined))
    assert (first.download.state, first.download.commit) == (Download.STATE_RUNNING, repository.commit)
    gate.set()
    last = [answer.download async for answer in joined][-1]
    assert (last.state, last.done_bytes) == (Download.STATE_SUCCEEDED, last.total_bytes)
    for revision in ("", "main", repository.commit):
        [again] = await own.download("acme/left", revision=revision)
        assert (again.download.state, again.download.commit) == (Download.STATE_SUCCEEDED, repository.commit)
        assert again.model.source == f"acme/left@{repository.commit}"
    assert len([request for request in hub.requests if request.path.startswith("/api/models/acme/left/")]) == 1


async def test_a_digest_pins_what_is_installed(hub: Hub, own: Own) -> None:
    """A model with another digest is not installed; the digest has nothing to do with the id."""
    hub.repositories["acme/pinned"] = Repository(tiny.files(2))
    digest = (await own.download("acme/pinned"))[-1].model.digest
    same = (await own.download("acme/pinned", revision="v1", model_id="pinned-too", digest=digest))[-1]
    assert (same.download.state, same.model.digest) == (Download.STATE_SUCCEEDED, digest)
    before = own.installed()
    failed = (await own.download("acme/pinned", model_id="pinned-wrongly", digest="0" * 64))[-1].download
    assert (failed.state, _reason(failed.error)) == (Download.STATE_FAILED, ("MODEL_MISMATCH", {"repository": "acme/pinned"}))
    assert (failed.error.code, digest in failed.error.message) == (grpc.StatusCode.FAILED_PRECONDITION.value[0], True)
    assert own.installed() == before
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await own.download("acme/pinned", digest="0" * 64)
    assert (caught.value.code().name, reason_of(caught.value)) == ("ALREADY_EXISTS", "MODEL_EXISTS")


_ACCIDENTS = [
    ("truncated", "model.safetensors", lambda content: content[:-9], "something else than it announced"),
    ("altered", "model.safetensors", lambda content: content[:-9] + bytes(9), "model.safetensors is not what the hub announced"),
    ("altered-words", "tokenizer.json", lambda content: content.replace(b"moon", b"noon"), "tokenizer.json is not what the hub announced"),
    ("altered-small", "config.json", lambda content: content.replace(b"gelu", b"relu"), "config.json is not what the hub announced"),
]


@pytest.mark.parametrize(("name", "place", "accident", "message"), _ACCIDENTS)
async def test_what_was_damaged_on_the_way_is_not_installed(
    hub: Hub, own: Own, name: str, place: str, accident: Callable[[bytes], bytes], message: str
) -> None:
    """Neither a model nor a left-over of one stays; the next try may succeed."""
    hub.repositories[f"acme/{name}"] = repository = Repository(tiny.files(), sent={place: accident})
    before = own.installed()
    failed = (await own.download(f"acme/{name}"))[-1]
    assert (failed.download.state, failed.HasField("model")) == (Download.STATE_FAILED, False)
    assert _reason(failed.download.error) == ("DOWNLOAD_FAILED", {"repository": f"acme/{name}"})
    assert message in failed.download.error.message
    assert own.installed() == before
    repository.sent.clear()
    assert (await own.download(f"acme/{name}"))[-1].download.state == Download.STATE_SUCCEEDED
    assert own.installed() == sorted([*before, name])


_MISSING = [
    ({"repository": "acme/nowhere"}, "the hub has no acme/nowhere, or does not show it without the right HF_TOKEN"),
    ({"repository": "acme/here", "revision": "v9"}, "acme/here has no revision v9"),
]


@pytest.mark.parametrize(("fields", "message"), _MISSING)
async def test_what_the_hub_does_not_have_fails(hub: Hub, own: Own, fields: dict[str, str], message: str) -> None:
    """The stream itself ends well: the download says what became of it."""
    hub.repositories["acme/here"] = Repository(tiny.files())
    failed = (await own.download(**fields))[-1].download
    assert (failed.state, failed.error.message) == (Download.STATE_FAILED, message)
    assert _reason(failed.error) == ("DOWNLOAD_FAILED", {"repository": fields["repository"]})


_UNSUPPORTED = [
    (_changed("config.json", lambda content: content.replace(b'"bert"', b'"qwen3"')), "`semantik models export`"),
    (_changed("config.json", lambda _: b"[]"), "config.json is not that of a text encoder"),
    (_changed("1_Pooling/config.json", lambda _: b'{"pooling_mode_lasttoken": true}'), "pooling by lasttoken is not supported"),
    (_changed("modules.json", lambda content: content.replace(b"Pooling", b"Dense")), "module Dense is not supported"),
    (_changed("config.json", lambda content: content.replace(b'"gelu"', b'"relu"')), "only absolute positions and gelu are supported"),
    ({name: content for name, content in tiny.files().items() if name != "tokenizer.json"}, "has no tokenizer.json"),
    ({name: content for name, content in tiny.files().items() if name != "model.safetensors"}, "`semantik models export`"),
]


@pytest.mark.parametrize(("files", "message"), _UNSUPPORTED)
async def test_what_is_computed_nowhere_here_is_refused(hub: Hub, own: Own, files: dict[str, bytes], message: str) -> None:
    """With a sentence that says what is missing, and nothing installed."""
    hub.repositories["acme/strange"] = Repository(files)
    before = own.installed()
    failed = (await own.download("acme/strange"))[-1].download
    assert (failed.state, _reason(failed.error)) == (Download.STATE_FAILED, ("MODEL_UNSUPPORTED", {"repository": "acme/strange"}))
    assert message in failed.error.message
    assert own.installed() == before


async def test_another_architecture_comes_as_onnx(hub: Hub, own: Own) -> None:
    """With what ONNX keeps beside the graph, in the folder where the repository has it."""
    words = numpy_helper.from_array(tiny.words(), "words")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", tiny.WIDTH])
    gather = helper.make_node("Gather", ["words", "input_ids"], ["last_hidden_state"])
    graph = helper.make_graph([gather], "words", inputs, [output], [words])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    files = _changed("config.json", lambda content: content.replace(b'"bert"', b'"mpnet"')) | {"onnx/model.onnx": model.SerializeToString()}
    hub.repositories["acme/graph"] = Repository(files)
    answer = (await own.download("acme/graph"))[-1]
    assert (answer.download.state, answer.model.dimension) == (Download.STATE_SUCCEEDED, tiny.WIDTH)
    assert sorted(path.name for path in (own.model_dir / "graph").rglob("*.*")) == sorted(
        ["model.onnx", *(name.rpartition("/")[2] for name in FILES if name != "model.safetensors")]
    )
    onnx.checker.check_model(onnx.load(own.model_dir / "graph" / "onnx" / "model.onnx"))
    request = embedding.EmbedRequest(texts=["the moon"], model="graph", precision=model_pb2.Model.PRECISION_FLOAT32)
    embedded = await own.embedding.Embed(request, metadata=own.metadata)
    assert len(embedded.embeddings[0].values) == tiny.WIDTH


async def test_one_id_is_one_model(hub: Hub, own: Own) -> None:
    """Another repository, or another revision, under an id that is taken or about to be, is told whose it is."""
    gate = threading.Event()
    hub.repositories["acme/twin"] = repository = Repository(tiny.files(3), gate=gate)
    hub.repositories["other/twin"] = Repository(tiny.files(4))
    watching = own.start("acme/twin")
    async for answer in watching:
        if answer.download.commit:
            break
    taken: list[tuple[str, dict[str, str]]] = [
        ("other/twin", {}),
        ("acme/twin", {"revision": "v1"}),
        ("acme/twin", {"digest": "0" * 64}),
    ]
    while True:
        for name, fields in taken:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await own.download(name, **fields)
            assert (caught.value.code().name, reason_of(caught.value)) == ("ALREADY_EXISTS", "MODEL_EXISTS")
            assert f"acme/twin@{repository.commit}" in str(caught.value.details())
        if gate.is_set():
            break
        gate.set()
        assert [answer.download async for answer in watching][-1].state == Download.STATE_SUCCEEDED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await own.download("acme/twin", model_id="all-minilm-l6-v2")
    assert reason_of(caught.value) == "MODEL_EXISTS"


async def test_a_hub_that_is_away_fails_the_download(start: Start) -> None:
    """And says so, instead of waiting."""
    own = await start(HF_ENDPOINT=f"http://127.0.0.1:{closed_port()}")
    failed = (await own.download("acme/moon"))[-1].download
    assert (failed.state, _reason(failed.error)[0]) == (Download.STATE_FAILED, "DOWNLOAD_FAILED")
    assert failed.error.message.startswith("the hub cannot be reached")
    assert own.installed() == []


async def test_nothing_is_downloaded_offline(start: Start) -> None:
    """What is here is still told."""
    own = await start(HF_HUB_OFFLINE="yes")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await own.download("acme/moon")
    assert (caught.value.code().name, reason_of(caught.value)) == ("FAILED_PRECONDITION", "DOWNLOADS_DISABLED")
    [answer] = await own.download("sentence-transformers/all-MiniLM-L6-v2")
    assert (answer.download.state, answer.model.is_default) == (Download.STATE_SUCCEEDED, True)


async def test_a_service_that_stops_ends_its_downloads(hub: Hub, start: Start) -> None:
    """Watchers are told to come back, the process of the download is gone, and so is what it had fetched."""
    hub.repositories["acme/long"] = Repository(tiny.files(5), gate=threading.Event())
    own = await start()
    watching = own.start("acme/long")
    async for answer in watching:
        if answer.download.commit:
            break
    [child] = _downloading(own)
    own.doomed.process.terminate()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(answer async for answer in watching if answer.download.state != Download.STATE_RUNNING)
    assert (caught.value.code().name, reason_of(caught.value)) == ("UNAVAILABLE", "DRAINING")
    assert await own.doomed.ends() == 0
    await asyncio.to_thread(psutil.wait_procs, [child], 10)
    assert (child.is_running(), own.installed()) == (False, [])


async def test_what_a_killed_service_left_is_cleared(hub: Hub, start: Start) -> None:
    """The download ends with the service; the next one removes its files, not those of a service that lives, and starts it again."""
    gate = threading.Event()
    hub.repositories["acme/long"] = Repository(tiny.files(6), gate=gate)
    killed, other = await start(), await start()
    for own, name in ((killed, "killed"), (other, "alive")):
        async for answer in own.start("acme/long", model_id=name):
            if answer.download.commit:
                break
    [child] = _downloading(killed)
    killed.doomed.process.kill()
    await asyncio.to_thread(psutil.wait_procs, [child], 10)
    assert not child.is_running()
    assert [name.partition(".")[0] for name in (path.rpartition("/")[2] for path in other.installed())] == ["alive", "killed"]
    gate.set()
    last = (await (await start()).download("acme/long", model_id="killed"))[-1]
    assert last.download.state == Download.STATE_SUCCEEDED
    assert (await other.download("acme/long", model_id="alive"))[-1].download.state == Download.STATE_SUCCEEDED
    assert other.installed() == ["alive", "killed"]


@pytest.mark.abuse(8)
async def test_only_administrators_download(own: Own, ada: Person) -> None:
    """Others are told which role it takes."""
    call = own.models.DownloadModel(messages.DownloadModelRequest(repository="acme/moon"), metadata=tuple(ada.headers.items()))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(call))
    assert (caught.value.code().name, reason_of(caught.value)) == ("PERMISSION_DENIED", "ROLE_REQUIRED")


@pytest.mark.abuse(21)
@pytest.mark.parametrize(
    "field", [{"repository": "moon"}, {"repository": "a/../b"}, {"model_id": "../b"}, {"repository": f"a/{'b' * 101}"}]
)
async def test_names_that_could_leave_the_directory_are_refused(own: Own, field: dict[str, str]) -> None:
    """A repository is an owner and a name, an id a slug of at most a hundred characters."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await own.download(**{"repository": "acme/moon", **field})
    assert (caught.value.code().name, reason_of(caught.value)) == ("INVALID_ARGUMENT", "INVALID_REQUEST")


async def test_a_download_is_a_stream_of_events_in_json(administrator: Person, http: httpx.AsyncClient) -> None:
    """Through the gateway, of a model that is installed already."""
    body = {"repository": "sentence-transformers/all-MiniLM-L6-v2"}
    answer = await http.post("/v1/models:download", json=body, headers=administrator.headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    [event] = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line]
    assert (event["download"]["state"], event["model"]["id"]) == ("STATE_SUCCEEDED", "all-minilm-l6-v2")


_FAMILIES = [
    ("intfloat/e5-small-v2", ("query: ", "passage: ", "MEAN")),
    ("intfloat/multilingual-e5-large", ("query: ", "passage: ", "MEAN")),
    ("baai/BGE-small-en-v1.5", ("Represent this sentence for searching relevant passages: ", "", "CLS")),
    ("intfloat/e5-mistral-7b-instruct", None),
    ("BAAI/bge-m3", None),
    ("acme/e5-small-v2", None),
]


@pytest.mark.parametrize(("repository", "expected"), _FAMILIES)
def test_families_are_known_by_their_names(repository: str, expected: tuple[str, str, str] | None) -> None:
    """What their publishers say in words only."""
    known = family(repository)
    assert (known and (known.query_prefix, known.passage_prefix, known.pooling)) == expected


async def test_a_family_brings_its_prefixes(hub: Hub, own: Own) -> None:
    """They are the model's from then on, unless its repository holds its own."""
    hub.repositories["intfloat/e5-small"] = Repository(tiny.files())
    model = (await own.download("intfloat/e5-small"))[-1].model
    assert (model.query_prefix, model.passage_prefix) == ("query: ", "passage: ")
    own_words = {"config_sentence_transformers.json": b'{"prompts": {"query": "q: ", "passage": ""}}'}
    hub.repositories["intfloat/e5-small-v2"] = Repository(tiny.files() | own_words)
    model = (await own.download("intfloat/e5-small-v2"))[-1].model
    assert (model.query_prefix, model.passage_prefix) == ("q: ", "")


def _downloading(own: Own) -> list[psutil.Process]:
    children: list[psutil.Process] = psutil.Process(own.doomed.process.pid).children()
    return [child for child in children if "services.embedding.downloads.hub" in child.cmdline()]
