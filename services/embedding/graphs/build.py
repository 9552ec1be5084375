"""Writes the finished graph of a model, in one precision.

Runs as a process of its own (``python -m services.embedding.graphs.build``), so that the serving process never holds what
only this needs. The last line on standard error says why a graph cannot be written.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers.float16 import convert_float_to_float16

from services.embedding.catalog.model_files import ModelFiles
from services.embedding.graphs import bert, onnx_directory, smoothing

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


def write(files: ModelFiles, precision: str, out: Path, *, padded: bool, saturates: bool = False) -> None:
    """Write the graph in FLOAT32, FLOAT16 or INT8 to ``out``, whole or not at all; ``padded`` graphs read a mask.

    INT8 where products ``saturate`` has weights of seven bits, which cannot overflow and cost no speed; a cross-encoder, whose
    logits that would move too far, has unsigned weights of eight, which are multiplied in 16 bits and take a tenth longer.
    """
    with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
        plain, finished = Path(scratch) / "float32.onnx", Path(scratch) / "finished.onnx"
        graph = onnx_directory.wrap(files) if files.is_onnx else bert.build(files, padded=padded)
        if precision == "INT8" and not files.is_onnx:
            graph = bert.build(files, padded=padded, factors=smoothing.factors(files, bert.build(files)))
        _require_numbers(files, graph)
        onnx.save(graph, plain)
        if precision == "FLOAT32":
            finished = plain
        elif precision == "FLOAT16":
            onnx.save(convert_float_to_float16(graph, keep_io_types=True), finished)
        else:
            is_unsigned = saturates and files.kind == "RERANKER"
            quantize_dynamic(
                plain,
                finished,
                op_types_to_quantize=["MatMul"],
                per_channel=True,
                weight_type=QuantType.QUInt8 if is_unsigned else QuantType.QInt8,
                reduce_range=saturates and not is_unsigned,
                # Types cannot be inferred through an operator of ONNX Runtime's own.
                extra_options={"DefaultTensorType": TensorProto.FLOAT},
            )
        finished.rename(out)


def _require_numbers(files: ModelFiles, graph: onnx.ModelProto) -> None:
    """Refuse weights that hold NaN: eight bits would turn it into numbers like any other."""
    for weight in graph.graph.initializer:
        if weight.data_type in _FLOATS and np.isnan(numpy_helper.to_array(weight)).any():
            raise SystemExit(f"{files.id}: the weights {weight.name} hold NaN")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--id", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--precision", choices=("FLOAT32", "FLOAT16", "INT8"), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--padded", action="store_true")
    parser.add_argument("--saturates", action="store_true")
    options = parser.parse_args()
    write(ModelFiles(options.id, options.directory), options.precision, options.out, padded=options.padded, saturates=options.saturates)


if __name__ == "__main__":
    main()
