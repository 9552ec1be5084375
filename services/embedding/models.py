"""One model on disk: its weights, tokenizer and configuration, and the digest that names them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

# Raised whenever the graph we build changes, because the digest names what computes the vectors.
RECIPE = "bert-graph-5"
# Architectures whose graph is built from safetensors; all others come as ONNX.
FAMILY = ("bert", "roberta", "xlm-roberta")
# How those may be activated, with ONNX's name for the formula.
ACTIVATIONS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
_ONNX = ("model.onnx", "onnx/model.onnx")
# What may follow the transformer; everything else (a Dense layer, say) would be left out in silence.
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")


class ModelDamagedError(Exception):
    """The files of a model are not what they should be; the message says which and how."""


@dataclass(frozen=True)
class ModelFiles:
    """A directory in the layout of sentence-transformers: BERT-family safetensors, or ``model.onnx``, with ``tokenizer.json``.

    ``pins`` are the SHA-256 that files must have, by name, where that is known.
    """

    id: str
    directory: Path
    license: str = ""
    source: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)

    @property
    def weights(self) -> Path:
        """The safetensors, if the architecture is built here; otherwise the ONNX file."""
        places: tuple[str, ...] = ("model.safetensors",) if self.config.get("model_type") in FAMILY else ()
        for place in (*places, *_ONNX):
            path = self.directory / place
            if path.is_file():
                return path
        raise ModelDamagedError(f"{self.id}: there is neither model.onnx nor model.safetensors of the BERT family")

    @property
    def is_onnx(self) -> bool:
        return self.weights.suffix == ".onnx"

    @property
    def tokenizer(self) -> Path:
        return self.directory / "tokenizer.json"

    @cached_property
    def config(self) -> dict[str, Any]:
        return self._json("config.json")

    @cached_property
    def kind(self) -> str:
        """``EMBEDDING``, or ``RERANKER`` for a cross-encoder with one score."""
        architectures = self.config.get("architectures") or [""]
        return "RERANKER" if str(architectures[0]).endswith("ForSequenceClassification") else "EMBEDDING"

    @property
    def dimension(self) -> int:
        """The length of a vector; 1 for a score."""
        # DistilBERT has a word of its own for it.
        return 1 if self.kind == "RERANKER" else int(self.config.get("hidden_size") or self.config["dim"])

    @property
    def first_position(self) -> int:
        """The number of the first token's place: RoBERTa counts from the padding on."""
        return int(self.config.get("pad_token_id", 1)) + 1 if "roberta" in str(self.config.get("model_type")) else 0

    @cached_property
    def max_length(self) -> int:
        """How many tokens a text may have, special tokens included."""
        places = int(self.config["max_position_embeddings"]) - self.first_position
        return min(int(self._json("sentence_bert_config.json", {}).get("max_seq_length") or places), places)

    @cached_property
    def pooling(self) -> str:
        """``MEAN`` or ``CLS``; empty for a cross-encoder."""
        if self.kind == "RERANKER":
            return ""
        said = self._json("1_Pooling/config.json", {})
        modes = {name.removeprefix("pooling_mode_") for name, value in said.items() if name.startswith("pooling_mode_") and value is True}
        mode = str(said.get("pooling_mode") or "+".join(sorted(modes)) or self._ours.get("pooling") or "mean_tokens").lower()
        known = {"cls": "CLS", "cls_token": "CLS", "mean": "MEAN", "mean_tokens": "MEAN"}
        if mode not in known:
            raise ModelDamagedError(f"{self.id}: pooling by {mode} is not supported")
        return known[mode]

    @cached_property
    def prefixes(self) -> tuple[str, str]:
        """What is put before queries and before passages."""
        if "query_prefix" in self._ours or "passage_prefix" in self._ours:
            return str(self._ours.get("query_prefix", "")), str(self._ours.get("passage_prefix", ""))
        prompts = self._json("config_sentence_transformers.json", {}).get("prompts")
        if not isinstance(prompts, dict):
            return "", ""
        return str(prompts.get("query", "")), str(prompts.get("passage", prompts.get("document", "")))

    @property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._content if path.exists())

    @property
    def signature(self) -> tuple[tuple[str, int, int], ...]:
        """What changes when a file does: names, sizes and times."""
        found = ((path, path.stat()) for path in sorted(self.directory.rglob("*")) if path.is_file())
        return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in found)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over weights, tokenizer, configuration and the graph's recipe; raises ModelDamagedError."""
        self.check()
        try:
            found = {str(path.relative_to(self.directory)): _sha256(path) for path in self._content}
            pinned = {name: found.get(name) or _sha256(self.directory / name) for name in self.pins}
        except OSError as error:
            raise ModelDamagedError(f"{self.id}: {error.filename}: {error.strerror}") from error
        for name, pin in self.pins.items():
            if pinned[name] != pin:
                raise ModelDamagedError(f"{self.id}: {name} is truncated or altered")
        config = json.dumps(self.config, sort_keys=True)
        parts = [RECIPE, *found.values(), config, self.kind, self.pooling, str(self.max_length), *self.prefixes]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @property
    def is_usable(self) -> bool:
        """Whether the files are what they should be, as far as reading them tells."""
        try:
            return bool(self.digest)
        except ModelDamagedError:
            return False

    def check(self) -> None:
        """Raise ModelDamagedError for a configuration that would be computed otherwise than its authors do."""
        for module in cast("list[dict[str, Any]]", self._json("modules.json", {}) or []):
            name = str(module.get("type")).rpartition(".")[2]
            if name not in _KNOWN_MODULES:
                raise ModelDamagedError(f"{self.id}: its module {name} is not supported")
        config = self.config
        is_built = config.get("model_type") in FAMILY and not any((self.directory / place).is_file() for place in _ONNX)
        if is_built and (config.get("position_embedding_type", "absolute") != "absolute" or config.get("hidden_act") not in ACTIVATIONS):
            raise ModelDamagedError(f"{self.id}: only absolute positions and gelu are supported")

    @property
    def _content(self) -> tuple[Path, ...]:
        weights = self.weights
        beside = weights.with_name(f"{weights.name}_data")  # where ONNX keeps what is over 2 GB
        return (weights, beside, self.tokenizer) if beside.is_file() else (weights, self.tokenizer)

    @cached_property
    def _ours(self) -> dict[str, Any]:
        return self._json("semantik.json", {})

    def _json(self, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.directory / name).read_text())
        except FileNotFoundError:
            if default is not None:
                return default
            raise ModelDamagedError(f"{self.id}: {name} is missing") from None
        except ValueError as error:
            raise ModelDamagedError(f"{self.id}: {name} is no JSON: {error}") from error
        return found


def read(directory: Path) -> ModelFiles:
    """Return the model in ``directory``, with what ``semantik.json`` there says of it (a download writes one)."""
    try:
        said = json.loads((directory / "semantik.json").read_text())
    except (FileNotFoundError, ValueError):
        said = {}
    return ModelFiles(
        directory.name,
        directory,
        license=str(said.get("license", "")),
        source=str(said.get("source", "")),
        pins=dict(said.get("files", {})),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
