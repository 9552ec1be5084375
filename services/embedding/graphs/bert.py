"""The graph of a BERT-family encoder from its safetensors.

The architecture is Devlin et al., "BERT" (2019), and Liu et al., "RoBERTa" (2019), which differs in where positions begin
and in the head; pooling is Reimers and Gurevych, "Sentence-BERT" (2019).
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from services.embedding.catalog.model_files import ACTIVATIONS, ModelFiles
from services.embedding.graphs.nodes import IR_VERSION, MICROSOFT, Array, Nodes, graph_inputs, graph_output, opsets

_PREFIXES = ("bert.", "roberta.")


def build(files: ModelFiles, *, padded: bool = False, factors: Mapping[str, Array] | None = None) -> onnx.ModelProto:
    """Return the FLOAT32 graph: ``input_ids`` [batch, tokens] int64 -> ``semantik_output`` [batch, dimension].

    A ``padded`` graph reads ``attention_mask`` [batch, tokens] too; any other takes texts of one length at a time. A
    cross-encoder reads ``token_type_ids``, and its output is a logit. ``factors`` [in] by name of a product are moved from
    its input into its weights (see ``smoothing``), which leaves the result as it is.
    """
    return _Bert(files, padded=padded, factors=factors or {}).build()


class _Bert:
    def __init__(self, files: ModelFiles, *, padded: bool, factors: Mapping[str, Array]) -> None:
        self._files = files
        self._tensors = {
            _short(name): value.astype(np.float32) for name, value in load_file(files.weights).items() if value.dtype.kind == "f"
        }
        config = files.config
        self._heads, self._layers = int(config["num_attention_heads"]), int(config["num_hidden_layers"])
        self._epsilon = float(config["layer_norm_eps"])
        self._gelu = ACTIVATIONS[config["hidden_act"]]
        self._padded = padded
        self._factors = factors
        self._graph = Nodes()

    def build(self) -> onnx.ModelProto:
        graph, is_pair = self._graph, self._files.kind == "RERANKER"
        hidden = self._norm(self._embed(with_types=is_pair), "embeddings.LayerNorm")
        mask = graph.op("Cast", ["attention_mask"], to=TensorProto.INT32) if self._padded else ""
        for layer in range(self._layers):
            prefix = f"encoder.layer.{layer}"
            attended = self._attend(hidden, mask, f"{prefix}.attention")
            hidden = self._norm(graph.op("Add", [attended, hidden]), f"{prefix}.attention.output.LayerNorm")
            wide = graph.op("Gelu", [self._dense(hidden, f"{prefix}.intermediate.dense")], approximate=self._gelu)
            hidden = self._norm(graph.op("Add", [self._dense(wide, f"{prefix}.output.dense"), hidden]), f"{prefix}.output.LayerNorm")
        if is_pair:
            self._score(hidden)
        else:
            graph.vector(hidden, self._files.pooling, padded=self._padded)
        names = ["input_ids", *(["attention_mask"] if self._padded else []), *(["token_type_ids"] if is_pair else [])]
        outputs = [graph_output(self._files.dimension)]
        finished = helper.make_graph(graph.nodes, self._files.id, graph_inputs(*names), outputs, graph.weights)
        return helper.make_model(finished, opset_imports=opsets(), ir_version=IR_VERSION, producer_name="semantik")

    def _embed(self, *, with_types: bool) -> str:
        graph, tensors = self._graph, self._tensors
        words = graph.op("Gather", [graph.weight("words", tensors["embeddings.word_embeddings.weight"]), "input_ids"])
        positions = tensors["embeddings.position_embeddings.weight"][self._files.first_position :]
        types = tensors["embeddings.token_type_embeddings.weight"]
        if with_types:
            type_vectors = graph.op("Gather", [graph.weight("types", types), "token_type_ids"])
            words = graph.op("Add", [words, type_vectors])
        else:
            # Every text is of type 0, so its vector is folded into the positions.
            positions = positions + types[0]
        length = graph.op("Shape", ["input_ids"], start=1, end=2)
        start, axis = graph.ints("zero", 0), graph.ints("axis0", 0)
        return graph.op("Add", [words, graph.op("Slice", [graph.weight("places", positions), start, length, axis])])

    def _attend(self, hidden: str, mask: str, prefix: str) -> str:
        """Add attention as ONNX Runtime's own operator, which computes it tile by tile where there is no mask."""
        values = self._factors.get(f"{prefix}.output.dense")
        shared = self._smoothed(hidden, f"{prefix}.self")
        projected = []
        for name in ("query", "key", "value"):
            weight: Array = self._tensors[f"{prefix}.self.{name}.weight"] * self._factors.get(f"{prefix}.self", np.float32(1))
            bias: Array = self._tensors[f"{prefix}.self.{name}.bias"]
            if name == "value" and values is not None:
                # What attention gives is a mean of values, so they take the factor of the product behind it.
                weight, bias = weight / values[:, None], bias / values
            projected.append(self._graph.linear(shared, f"{prefix}.self.{name}", weight, bias))
        inputs = [*projected, *(("", mask) if mask else ())]
        mixed = self._graph.op("MultiHeadAttention", inputs, num_heads=self._heads, domain=MICROSOFT)
        name = f"{prefix}.output.dense"
        weight = self._tensors[f"{name}.weight"] * (np.float32(1) if values is None else values)
        return self._graph.linear(mixed, name, weight, self._tensors[f"{name}.bias"])

    def _score(self, hidden: str) -> None:
        graph = self._graph
        first = graph.first_token(hidden)
        dense, last = (
            ("pooler.dense", "classifier") if "pooler.dense.weight" in self._tensors else ("classifier.dense", "classifier.out_proj")
        )
        if f"{last}.weight" not in self._tensors or self._tensors[f"{last}.weight"].shape[0] != 1:
            raise SystemExit(f"{self._files.id}: only cross-encoders with one score are supported")
        graph.score(self._dense(graph.op("Tanh", [self._dense(first, dense)]), last))

    def _norm(self, x: str, prefix: str) -> str:
        scale, shift = (self._weight(f"{prefix}.{kind}") for kind in ("weight", "bias"))
        return self._graph.op("LayerNormalization", [x, scale, shift], axis=-1, epsilon=self._epsilon)

    def _dense(self, x: str, name: str) -> str:
        weight = self._tensors[f"{name}.weight"] * self._factors.get(name, np.float32(1))
        return self._graph.linear(self._smoothed(x, name), name, weight, self._tensors[f"{name}.bias"])

    def _smoothed(self, x: str, name: str) -> str:
        if name not in self._factors:
            return x
        return self._graph.op("Mul", [x, self._graph.weight(f"{name}.smooth", 1 / self._factors[name])])

    def _weight(self, name: str) -> str:
        return self._graph.weight(name, self._tensors[name])


def _short(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    # Old checkpoints name a norm's weights as its paper does.
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
