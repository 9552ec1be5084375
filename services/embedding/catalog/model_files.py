"""One model on disk: its weights, tokenizer and configuration, and the digest that names them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from services.embedding.catalog.digests import sha256

# Raised whenever the graph we build changes, because the digest names what computes the vectors.
RECIPE = "bert-graph-5"
# Architectures whose graph is built from safetensors; all others come as ONNX.
BUILT_ARCHITECTURES = ("bert", "roberta", "xlm-roberta")
# The activations of those, with ONNX's name for the formula.
ACTIVATIONS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}
SAFETENSORS = "model.safetensors"
ONNX_PLACES = ("model.onnx", "onnx/model.onnx")
DESCRIPTION = "semantik.json"
_TOKENIZER = "tokenizer.json"
# Modules that the graph computes; any other after the transformer (a Dense layer, say) would be left out in silence.
_KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
_POOLINGS = {"cls": "CLS", "cls_token": "CLS", "mean": "MEAN", "mean_tokens": "MEAN"}


class ModelDamagedError(Exception):
    """The files of ``model`` are not what they should be; the message says which and how."""

    def __init__(self, model: str, fault: str) -> None:
        super().__init__(f"{model}: {fault}")
        self.model = model
        self.fault = fault


@dataclass(frozen=True)
class ModelFiles:
    """A directory in the layout of sentence-transformers: BERT-family safetensors, or ``model.onnx``, with ``tokenizer.json``.

    ``pins`` are the SHA-256 that files must have, by name, where that is known. Everything is read once, when it is first
    asked for: files that change are another ``ModelFiles``.
    """

    id: str
    directory: Path
    license: str = ""
    source: str = ""
    pins: Mapping[str, str] = field(default_factory=dict)
    languages: tuple[str, ...] = ()

    @property
    def weights(self) -> Path:
        """The safetensors, if the architecture is built here; otherwise the ONNX file."""
        for place in (SAFETENSORS, *ONNX_PLACES) if self._is_built_architecture else ONNX_PLACES:
            path = self.directory / place
            if path.is_file():
                return path
        raise self._damaged("there is neither model.onnx nor model.safetensors of the BERT family")

    @property
    def is_onnx(self) -> bool:
        return self.weights.suffix == ".onnx"

    @property
    def tokenizer(self) -> Path:
        return self.directory / _TOKENIZER

    @cached_property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._json("config.json")
        return config

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
        config = self._json("1_Pooling/config.json", {})
        modes = [name.removeprefix("pooling_mode_") for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
        mode = str(config.get("pooling_mode") or "+".join(sorted(modes)) or self.description.get("pooling") or "mean_tokens").lower()
        if mode not in _POOLINGS:
            raise self._damaged(f"pooling by {mode} is not supported")
        return _POOLINGS[mode]

    @cached_property
    def prefixes(self) -> tuple[str, str]:
        """The texts put before queries and before passages."""
        if "query_prefix" in self.description or "passage_prefix" in self.description:
            return str(self.description.get("query_prefix", "")), str(self.description.get("passage_prefix", ""))
        prompts = self._json("config_sentence_transformers.json", {}).get("prompts")
        if not isinstance(prompts, dict):
            return "", ""
        return str(prompts.get("query", "")), str(prompts.get("passage", prompts.get("document", "")))

    @cached_property
    def description(self) -> dict[str, Any]:
        """The content of ``semantik.json``, which a download writes and which wins over the repository's own files."""
        description: dict[str, Any] = self._json(DESCRIPTION, {})
        return description

    @cached_property
    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._content if path.exists())

    @cached_property
    def signature(self) -> tuple[tuple[str, int, int], ...]:
        """The names, sizes and times of all files, which change when a file does."""
        stats = ((path, path.stat()) for path in sorted(self.directory.rglob("*")) if path.is_file())
        return tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats)

    @property
    def is_hashed(self) -> bool:
        """Whether ``digest`` answers without reading."""
        return "_hashed" in self.__dict__

    @property
    def digest(self) -> str:
        """SHA-256 over weights, tokenizer, configuration and the graph's recipe; raises ModelDamagedError.

        The first call reads all files; off the event loop only (``Catalog.digest``). Damage is found once too.
        """
        if isinstance(self._hashed, ModelDamagedError):
            raise self._damaged(self._hashed.fault)
        return self._hashed

    @cached_property
    def _hashed(self) -> str | ModelDamagedError:
        try:
            self.check()
            sums = {str(path.relative_to(self.directory)): sha256(path) for path in self._content}
            for name, pin in self.pins.items():
                if (sums.get(name) or sha256(self.directory / name)) != pin:
                    return self._damaged(f"{name} is truncated or altered")
        except ModelDamagedError as error:
            return error
        except OSError as error:  # may pass, so it is raised each time
            raise self._damaged(f"{error.filename}: {error.strerror}") from error
        config = json.dumps(self.config, sort_keys=True)
        parts = [RECIPE, *sums.values(), config, self.kind, self.pooling, str(self.max_length), *self.prefixes]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def check(self) -> None:
        """Raise ModelDamagedError for a configuration that is incomplete, or is computed otherwise by its authors."""
        try:
            for module in cast("list[dict[str, Any]]", self._json("modules.json", [])):
                name = str(module.get("type")).rpartition(".")[2]
                if name not in _KNOWN_MODULES:
                    raise self._damaged(f"its module {name} is not supported")
            is_onnx = any((self.directory / place).is_file() for place in ONNX_PLACES)
            if self._is_built_architecture and not is_onnx:
                position = self.config.get("position_embedding_type", "absolute")
                if position != "absolute" or self.config.get("hidden_act") not in ACTIVATIONS:
                    raise self._damaged("only absolute positions and gelu are supported")
            _ = self.kind, self.dimension, self.max_length, self.pooling, self.prefixes
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._damaged(f"its configuration is not that of a text encoder ({error})") from error

    @property
    def _is_built_architecture(self) -> bool:
        return self.config.get("model_type") in BUILT_ARCHITECTURES

    @property
    def _content(self) -> tuple[Path, ...]:
        weights = self.weights
        beside = weights.with_name(f"{weights.name}_data")  # where ONNX keeps what is over 2 GB
        return (weights, beside, self.tokenizer) if beside.is_file() else (weights, self.tokenizer)

    def _json(self, name: str, default: Any = None) -> Any:
        """Return the content of a file of the type of ``default``, which stands for a missing one; an object where it must exist."""
        try:
            content = json.loads((self.directory / name).read_text())
        except FileNotFoundError:
            if default is not None:
                return default
            raise self._damaged(f"{name} is missing") from None
        except ValueError as error:
            raise self._damaged(f"{name} is not JSON: {error}") from error
        if not isinstance(content, type(default) if default is not None else dict):
            raise self._damaged(f"{name} is not that of a text encoder")
        return content

    def _damaged(self, fault: str) -> ModelDamagedError:
        return ModelDamagedError(self.id, fault)


def read(directory: Path, model_id: str = "") -> ModelFiles:
    """Return the model in ``directory``, with what ``semantik.json`` there says of its origin."""
    files = ModelFiles(model_id or directory.name, directory)
    try:
        description = files.description
        pins = dict(description.get("files", {}))
        languages = tuple(map(str, description.get("languages", ())))
    except (ModelDamagedError, TypeError, ValueError):
        # The directory is listed all the same, as a model that says what is wrong with it.
        return ModelFiles(files.id, directory, pins={DESCRIPTION: "not readable"})
    license_, source = str(description.get("license", "")), str(description.get("source", ""))
    return ModelFiles(files.id, directory, license_, source, pins, languages)
