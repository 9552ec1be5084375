"""The graphs of the families of models against what transformers computes; models that come as ONNX; files that are damaged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from grpc import StatusCode
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.catalog.model_files import ModelDamagedError, ModelFiles, read
from services.embedding.graphs import bert
from services.embedding.graphs.build import write
from services.embedding.graphs.saturation import GRAPH, saturates
from services.embedding.inference.engine import Engine
from services.embedding.inference.session import CPU, Session
from services.embedding.inference.sessions import Sessions
from services.embedding.inference.tokens import Tokenized
from tests.golden.embedding.families import FAMILIES, IDS, Family, save
from tests.service.embedding import tiny

_GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "embedding" / "families.json").read_text())
_BY_ID = {family.id: family for family in FAMILIES}
_NAMES = [family.id for family in FAMILIES]
Vectors = npt.NDArray[np.float32]
Damage = Callable[[Path], None]


def _texts(family: Family) -> list[Tokenized]:
    typed = not family.pooling and family.config["type_vocab_size"] > 1
    return [Tokenized(ids, types=[0] * 2 + [1] * (len(ids) - 2) if typed else None) for ids in IDS]


def _cosines(rows: Vectors, family: Family) -> Vectors:
    result: Vectors = np.sum(rows * np.array(_GOLDEN[family.id], np.float32), axis=1)
    return result


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str], ModelFiles]:
    """Write the model of a family, with a tokenizer of a few words."""

    def write_model(name: str) -> ModelFiles:
        directory = save(_BY_ID[name], tmp_path / name)
        (directory / "tokenizer.json").write_bytes(tiny.files()["tokenizer.json"])
        return read(directory)

    return write_model


async def _load(model_dir: Path, files: ModelFiles, precision: str) -> None:
    async def digest(files: ModelFiles) -> str:
        return files.digest

    await Sessions(model_dir, digest, [CPU], 1 << 30, lambda _, __: False).get(files, precision)


def _session(files: ModelFiles, precision: str, out: Path, *, padded: bool = False) -> Session:
    write(files, precision, out, padded=padded, saturates=saturates())
    session = Session(out, files.dimension, [CPU])
    session.pads = padded
    return session


@pytest.mark.parametrize("padded", [False, True], ids=["alone", "padded"])
@pytest.mark.parametrize("name", _NAMES)
def test_a_family_is_computed_as_its_authors_do(saved: Callable[[str], ModelFiles], tmp_path: Path, name: str, padded: bool) -> None:
    """Text after text, and in one batch in which a short text stands beside a long one."""
    files, family = saved(name), _BY_ID[name]
    assert (files.pooling, files.max_length, files.kind) == (family.pooling, family.length, "EMBEDDING" if family.pooling else "RERANKER")
    rows = _session(files, "FLOAT32", tmp_path / "graph.onnx", padded=padded).run(_texts(family))
    assert np.abs(rows - np.array(_GOLDEN[name], np.float32)).max() < 2e-5


@pytest.mark.parametrize(("precision", "least"), [("INT8", 0.985), ("FLOAT16", 0.9995)])
@pytest.mark.parametrize("name", ["minilm", "bge", "e5", "gte", "multilingual-e5"])
def test_other_precisions_are_near(saved: Callable[[str], ModelFiles], tmp_path: Path, name: str, precision: str, least: float) -> None:
    """Half precision is for graphics cards, but its graph runs anywhere."""
    rows = _session(saved(name), precision, tmp_path / "graph.onnx", padded=precision == "FLOAT16").run(_texts(_BY_ID[name]))
    assert _cosines(rows, _BY_ID[name]).min() >= least


@pytest.mark.parametrize("name", ["reranker", "bge-reranker"])
def test_eight_bits_rank_alike(saved: Callable[[str], ModelFiles], tmp_path: Path, name: str) -> None:
    """The logits of a cross-encoder move by little, and keep their order."""
    rows = _session(saved(name), "INT8", tmp_path / "graph.onnx").run(_texts(_BY_ID[name]))
    expected = np.array(_GOLDEN[name], np.float32)
    assert np.abs(rows - expected).max() < 0.25
    assert np.argsort(rows, axis=0).tolist() == np.argsort(expected, axis=0).tolist()


@pytest.mark.parametrize("name", ["minilm", "reranker"])
def test_products_that_may_saturate_have_other_weights(saved: Callable[[str], ModelFiles], tmp_path: Path, name: str) -> None:
    """Seven bits of an embedder, unsigned weights of a cross-encoder; on every processor both are as near as eight bits are."""
    files = saved(name)
    write(files, "INT8", tmp_path / "graph.onnx", padded=False, saturates=True)
    weights = [weight for weight in onnx.load(tmp_path / "graph.onnx").graph.initializer if weight.name.endswith("_quantized")]
    values = [numpy_helper.to_array(weight) for weight in weights]
    if files.kind == "RERANKER":
        assert {value.dtype for value in values} == {np.dtype(np.uint8)}
    else:
        assert {value.dtype for value in values} == {np.dtype(np.int8)}
        assert max(int(np.abs(value.astype(np.int32)).max()) for value in values) == 64
        rows = Session(tmp_path / "graph.onnx", files.dimension, [CPU]).run(_texts(_BY_ID[name]))
        assert _cosines(rows, _BY_ID[name]).min() >= 0.985


def test_the_probe_of_the_processor_is_one_product() -> None:
    """The bytes in the source are the graph that they are said to be."""
    sides = [
        helper.make_tensor_value_info("a", TensorProto.UINT8, [1, 64]),
        helper.make_tensor_value_info("b", TensorProto.INT8, [64, 16]),
    ]
    product = helper.make_tensor_value_info("c", TensorProto.INT32, [1, 16])
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["a", "b"], ["c"])], "p", sides, [product])
    assert helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7).SerializeToString() == GRAPH


def test_prefixes_are_read_from_the_repository_and_ours_go_before(saved: Callable[[str], ModelFiles]) -> None:
    """What we write down of a model wins over what came with it."""
    files = saved("e5")
    assert files.prefixes == ("query: ", "passage: ")
    (files.directory / "semantik.json").write_text('{"query_prefix": "find: "}')
    assert read(files.directory).prefixes == ("find: ", "")
    assert read(files.directory).digest != files.digest


def _as_onnx(files: ModelFiles, results: tuple[str, ...], extra: tuple[str, ...] = ()) -> ModelFiles:
    """Put the model's own graph, cut off before pooling, in the place of its safetensors."""
    model = bert.build(files, padded=True)
    end = max(place for place, node in enumerate(model.graph.node) if node.op_type == "LayerNormalization")
    last = model.graph.node[end].output[0]
    del model.graph.output[:], model.graph.node[end + 1 :]
    for name in results:
        model.graph.node.append(helper.make_node("Identity", [last], [name]))
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "tokens", files.dimension]))
    model.graph.input.extend(helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in extra)
    onnx.save(model, files.directory / "model.onnx")
    files.weights.unlink()
    return read(files.directory)


@pytest.mark.parametrize(("name", "extra"), [("minilm", ("token_type_ids",)), ("bge", ())])
@pytest.mark.parametrize(("precision", "least"), [("FLOAT32", 0.999999), ("INT8", 0.97)])
def test_a_model_that_comes_as_onnx_is_pooled_here(
    saved: Callable[[str], ModelFiles], tmp_path: Path, name: str, extra: tuple[str, ...], precision: str, least: float
) -> None:
    """In either precision, whether or not its graph asks for types."""
    files = _as_onnx(saved(name), ("last_hidden_state",), extra)
    assert files.is_onnx
    rows = _session(files, precision, tmp_path / "graph.onnx").run(_texts(_BY_ID[name]))
    assert _cosines(rows, _BY_ID[name]).min() >= least


def _unknown_result(files: ModelFiles) -> ModelFiles:
    return _as_onnx(files, ("something",))


def _unknown_input(files: ModelFiles) -> ModelFiles:
    return _as_onnx(files, ("last_hidden_state",), ("pixels",))


def _cut_onnx(files: ModelFiles) -> ModelFiles:
    cut = _as_onnx(files, ("last_hidden_state",))
    cut.weights.write_bytes(cut.weights.read_bytes()[:-1000])
    return cut


def _cut_safetensors(files: ModelFiles) -> ModelFiles:
    files.weights.write_bytes(files.weights.read_bytes()[:-1000])
    return files


def _other_activation(files: ModelFiles) -> ModelFiles:
    (files.directory / "config.json").write_text(json.dumps(files.config | {"hidden_act": "relu"}))
    return read(files.directory)


def _other_module(files: ModelFiles) -> ModelFiles:
    (files.directory / "modules.json").write_text('[{"type": "sentence_transformers.models.Dense"}]')
    return read(files.directory)


def _other_pooling(files: ModelFiles) -> ModelFiles:
    (files.directory / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    return read(files.directory)


def _no_weights(files: ModelFiles) -> ModelFiles:
    files.weights.unlink()
    return read(files.directory)


def _not_a_number(files: ModelFiles) -> ModelFiles:
    tensors = load_file(files.weights)
    tensors["embeddings.word_embeddings.weight"][40, 3] = np.nan
    save_file(tensors, files.weights)
    return files


def _altered(files: ModelFiles) -> ModelFiles:
    return ModelFiles(files.id, files.directory, pins={"config.json": "0" * 64})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_unknown_result, "model.onnx gives something; none of them is"),
        (_unknown_input, "model.onnx takes attention_mask, input_ids, pixels; it may take"),
        (_cut_onnx, "model.onnx cannot be read"),
        (_cut_safetensors, "its graph cannot be built: "),
        (_other_activation, "only absolute positions and gelu are supported"),
        (_other_module, "its module Dense is not supported"),
        (_other_pooling, "pooling by max_tokens is not supported"),
        (_not_a_number, "the weights words hold NaN"),
        (_no_weights, "there is neither model.onnx nor model.safetensors of the BERT family"),
        (_altered, "config.json is truncated or altered"),
    ],
)
async def test_what_cannot_be_computed_says_why(
    saved: Callable[[str], ModelFiles], tmp_path: Path, change: Callable[[ModelFiles], ModelFiles], reason: str
) -> None:
    """One sentence with the model's name, and nothing is left that looks like a graph."""
    files = change(saved("minilm"))
    with pytest.raises(ModelDamagedError) as caught:
        await _load(tmp_path, files, "FLOAT32")
    assert str(caught.value).startswith("minilm: ")
    assert reason in str(caught.value)
    assert [*tmp_path.glob(".graphs/*/*"), *tmp_path.glob(".staging/*")] == []


async def test_a_graph_that_was_cut_short_is_not_loaded(saved: Callable[[str], ModelFiles], tmp_path: Path) -> None:
    """It says which file and what to do, and is built again once that is done."""
    files = saved("minilm")
    await _load(tmp_path, files, "FLOAT32")
    graph = tmp_path / ".graphs" / files.digest / "float32.onnx"
    graph.write_bytes(graph.read_bytes()[:-100])
    with pytest.raises(ModelDamagedError, match=r"^minilm: float32\.onnx is truncated or altered; delete "):
        await _load(tmp_path, files, "FLOAT32")
    shutil.rmtree(graph.parent)
    await _load(tmp_path, files, "FLOAT32")
    assert sorted(path.name for path in graph.parent.iterdir()) == ["float32.json", "float32.onnx"]


async def test_weights_that_were_cut_short_are_no_model(engine: Engine, tmp_path: Path) -> None:
    """The default model's weights are known, so that no other vectors are ever given in its name."""
    default = engine.catalog.get("")
    copy = tmp_path / "copy"
    shutil.copytree(default.directory, copy)
    with (copy / "model.safetensors").open("r+b") as file:
        file.truncate(1_000_000)
    damaged = ModelFiles(default.id, copy, pins=default.pins)
    with pytest.raises(ModelDamagedError, match=r"^all-minilm-l6-v2: model\.safetensors is truncated or altered$"):
        await _load(tmp_path, damaged, "INT8")


async def test_half_precision_is_refused_on_a_processor(saved: Callable[[str], ModelFiles], tmp_path: Path) -> None:
    """It differs from a wrong request: another machine may have it."""
    with pytest.raises(Failure) as caught:
        await _load(tmp_path, saved("minilm"), "FLOAT16")
    assert (caught.value.code, caught.value.reason) == (
        StatusCode.FAILED_PRECONDITION,
        ErrorReason.ERROR_REASON_PRECISION_UNSUPPORTED,
    )


def test_what_is_no_vector_never_leaves(saved: Callable[[str], ModelFiles], tmp_path: Path) -> None:
    """Neither NaN nor a row of another length."""
    files = saved("minilm")
    write(files, "FLOAT32", tmp_path / "graph.onnx", padded=False)
    session = Session(tmp_path / "graph.onnx", files.dimension + 1, [CPU])
    with pytest.raises(Failure, match="not an embedding"):
        session.run(_texts(_BY_ID["minilm"]))
    graph = onnx.load(tmp_path / "graph.onnx")
    [bias] = [weight for weight in graph.graph.initializer if weight.name == "encoder.layer.1.output.dense.bias"]
    bias.CopyFrom(numpy_helper.from_array(np.full(files.dimension, np.nan, np.float32), bias.name))
    onnx.save(graph, tmp_path / "nan.onnx")
    session = Session(tmp_path / "nan.onnx", files.dimension, [CPU])
    with pytest.raises(Failure) as caught:
        session.run(_texts(_BY_ID["minilm"]))
    assert (caught.value.code, caught.value.reason) == (StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL)


def test_a_batch_that_does_not_fit_into_memory_is_halved(
    saved: Callable[[str], ModelFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its parts fit; what fails for another cause, or one text by itself, is not tried again."""
    session = _session(saved("minilm"), "FLOAT32", tmp_path / "graph.onnx", padded=True)
    texts = _texts(_BY_ID["minilm"]) * 3
    expected, sizes, computed = session.run(texts), [], session._computed

    def small(inputs: dict[str, npt.NDArray[np.int64]]) -> Vectors:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 3:
            raise RuntimeError("CUDA failure 2: out of memory")
        return computed(inputs)

    monkeypatch.setattr(session, "_computed", small)
    assert np.allclose(session.run(texts), expected, atol=1e-6)
    assert sizes == [9, 4, 2, 2, 5, 2, 3]

    def never(_: object) -> Vectors:
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")

    monkeypatch.setattr(session, "_computed", never)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        session.run(texts)
