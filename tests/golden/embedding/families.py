"""Small models with random weights in the real configurations of what people use; numpy makes them, so that any environment can."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

_BERT: dict[str, Any] = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "hidden_act": "gelu",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 40,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "pad_token_id": 0,
    "vocab_size": 90,
}
_ROBERTA = _BERT | {
    "model_type": "xlm-roberta",
    "architectures": ["XLMRobertaModel"],
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
IDS = [
    [2, 17, 40, 8, 61, 33, 9, 77, 50, 12, 3],
    [2, 5, 3],
    [2, *range(20, 50), 3],
]


@dataclass(frozen=True)
class Family:
    """One case: ``prefix`` is what its checkpoint puts before the encoder's names, ``length`` what it reads."""

    id: str
    config: dict[str, Any]
    pooling: str
    prefix: str = ""
    length: int = 40
    files: dict[str, Any] = field(default_factory=dict)


def _pooled(mode: str, length: int, **prompts: str) -> dict[str, Any]:
    return {
        "1_Pooling/config.json": {f"pooling_mode_{name}": name == mode for name in ("cls_token", "mean_tokens", "max_tokens")},
        "sentence_bert_config.json": {"max_seq_length": length, "do_lower_case": False},
        **({"config_sentence_transformers.json": {"prompts": prompts}} if prompts else {}),
    }


FAMILIES = [
    Family("minilm", _BERT, "MEAN", files=_pooled("mean_tokens", 32), length=32),
    Family("bge", _BERT | {"num_attention_heads": 2}, "CLS", files=_pooled("cls_token", 40)),
    Family("e5", _BERT, "MEAN", files=_pooled("mean_tokens", 40, query="query: ", passage="passage: ")),
    Family("gte", _BERT | {"num_attention_heads": 8}, "MEAN", prefix="bert.", files=_pooled("mean_tokens", 512)),
    # The small multilingual one is a BERT that reads XLM-R's tokens; the larger ones are XLM-R.
    Family("multilingual-e5", _ROBERTA, "MEAN", prefix="roberta.", length=38, files=_pooled("mean_tokens", 512)),
    Family("reranker", _BERT | {"architectures": ["BertForSequenceClassification"], "num_labels": 1}, "", prefix="bert."),
    Family(
        "bge-reranker",
        _ROBERTA | {"architectures": ["XLMRobertaForSequenceClassification"], "num_labels": 1},
        "",
        prefix="roberta.",
        length=38,
    ),
]


def weights(family: Family, seed: int = 11) -> dict[str, npt.NDArray[np.float32]]:
    """Return the checkpoint's tensors; norms lie about 1, so that the numbers stay those of a trained model."""
    config, random = family.config, np.random.default_rng(seed)
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], width),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], width),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], width),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(config["num_hidden_layers"])):
        linears = {f"attention.{name}": (width, width) for name in ("self.query", "self.key", "self.value", "output.dense")}
        for name, shape in {**linears, "intermediate.dense": (inner, width), "output.dense": (width, inner)}.items():
            shapes |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    made = {name: random.normal(0, 0.4, shape) for name, shape in shapes.items()}
    made |= {f"{name}.weight": random.normal(1, 0.2, width) for name in norms} | {
        f"{name}.bias": random.normal(0, 0.2, width) for name in norms
    }
    made = {family.prefix + name: value for name, value in made.items()}
    if not family.pooling:
        is_roberta = family.prefix == "roberta."
        dense, last = ("classifier.dense", "classifier.out_proj") if is_roberta else ("bert.pooler.dense", "classifier")
        made |= {f"{dense}.weight": random.normal(0, 0.4, (width, width)), f"{dense}.bias": random.normal(0, 0.4, width)}
        made |= {f"{last}.weight": random.normal(0, 0.4, (1, width)), f"{last}.bias": random.normal(0, 0.4, 1)}
    return {name: value.astype(np.float32) for name, value in made.items()}


def save(family: Family, directory: Path) -> Path:
    """Write the model into ``directory`` as a repository holds it, without a tokenizer."""
    directory.mkdir(parents=True)
    save_file(weights(family), directory / "model.safetensors", metadata={"format": "pt"})
    for name, content in {"config.json": family.config, **family.files}.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return directory
