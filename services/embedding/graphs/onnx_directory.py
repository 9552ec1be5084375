"""The graph of a model that comes as ONNX: its own, with our pooling and normalisation behind it."""

import onnx
from onnx import helper, version_converter

from services.embedding.catalog.model_files import ModelFiles
from services.embedding.graphs.nodes import Nodes, graph_output

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_LEAST_OPSET = 13  # the first in which axes are inputs
_TOKENS = ("last_hidden_state", "token_embeddings")
_POOLED = ("sentence_embedding", "embedding", "output")


def wrap(files: ModelFiles) -> onnx.ModelProto:
    """Return the graph with one result, ``semantik_output`` [batch, dimension], or [batch, 1] of a cross-encoder."""
    try:
        model = onnx.load(files.weights)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, the checker and the file system each raise their own
        raise SystemExit(f"{files.id}: {files.weights.name} cannot be read: {error}".splitlines()[0]) from error
    [opset] = [imported.version for imported in model.opset_import if imported.domain in ("", "ai.onnx")]
    if opset < _LEAST_OPSET:
        model = version_converter.convert_version(model, 17)
    names = {node.name for node in model.graph.input} - {weight.name for weight in model.graph.initializer}
    if not {"input_ids", "attention_mask"} <= names <= _INPUTS:
        raise SystemExit(f"{files.id}: {files.weights.name} takes {', '.join(sorted(names))}; it may take {', '.join(sorted(_INPUTS))}")
    results = [node.name for node in model.graph.output]
    ends = Nodes("semantik_")
    if files.kind == "RERANKER":
        ends.score(_one_of(files, results, ("logits", *results[:1])))
    elif any(name in results for name in _TOKENS):
        ends.vector(_one_of(files, results, _TOKENS), files.pooling, padded=True)
    else:
        ends.normalised(_one_of(files, results, _POOLED))
    model.graph.node.extend(ends.nodes)
    model.graph.initializer.extend(ends.weights)
    del model.graph.output[:]
    model.graph.output.append(graph_output(files.dimension))
    return helper.make_model(
        model.graph, opset_imports=model.opset_import, ir_version=model.ir_version, producer_name="semantik", functions=model.functions
    )


def _one_of(files: ModelFiles, results: list[str], wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in results:
            return name
    raise SystemExit(f"{files.id}: {files.weights.name} gives {', '.join(results)}; none of them is {', '.join(wanted)}")
