"""Downloads one model from the Hugging Face hub into a directory, checks each file and writes down what they are.

Runs as a process of its own (``python -m services.embedding.downloads.hub``): it can be ended at any moment, and the serving
process never holds what only this needs. Nothing that comes from a repository is executed or unpickled. Each change of progress
is a line of JSON on standard output, and so is the result, which comes last.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import ModelInfo, RepoSibling
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from services.embedding.catalog.digests import sha256
from services.embedding.catalog.families import family
from services.embedding.catalog.model_files import BUILT_ARCHITECTURES, DESCRIPTION, ONNX_PLACES, SAFETENSORS, ModelDamagedError, ModelFiles
from services.embedding.downloads.progress import Progress, report

_T = TypeVar("_T")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,15}([_-][A-Za-z0-9]{2,8})*")
_MOST_LANGUAGES = 200
_REQUIRED = ("config.json", "tokenizer.json")
_WANTED = (
    *_REQUIRED,
    "special_tokens_map.json",
    "tokenizer_config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "1_Pooling/config.json",
)
_CHUNK_BYTES = 1024 * 1024  # the library's own 10 MB make progress jump
_INFO_SECONDS = 30.0


class RefusedError(Exception):
    """The model is not taken: the reason as the contract names it, and one sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def download(repository: str, revision: str, directory: Path, progress: Progress) -> None:
    """Fetch the model into ``directory``; raises RefusedError, and whatever the hub's library or the disk does."""
    info = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=_INFO_SECONDS)
    if not _COMMIT.fullmatch(str(info.sha)):
        raise RefusedError("DOWNLOAD_FAILED", f"the hub does not say which commit {revision} of {repository} is")
    progress.commit = str(info.sha)
    announced = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    for name in _REQUIRED:
        if name not in announced:
            _refuse(f"{repository} has no {name}")
    files: dict[str, str] = {}

    def fetch(name: str) -> None:
        hf_hub_download(repository, name, revision=progress.commit, local_dir=directory, tqdm_class=cast("Any", progress.bar))
        files[name] = _checked(directory / name, announced[name])
        progress.complete((directory / name).stat().st_size)

    fetch("config.json")
    weights = _weights(repository, directory, announced)
    rest = [name for name in _WANTED if name in announced and name not in files]
    progress.total = sum(announced[name].size or 0 for name in (*files, *rest, *weights))
    needed = progress.total - sum(announced[name].size or 0 for name in files)
    if needed > shutil.disk_usage(directory).free:
        raise RefusedError("DOWNLOAD_FAILED", f"{repository} needs {needed} bytes, which the disk does not have")
    for name in rest:
        fetch(name)
    _read(repository, directory, ModelFiles.check)
    for name in weights:
        fetch(name)
    shutil.rmtree(directory / ".cache")  # the library's notes on what it fetched
    description = _description(repository, revision, info, directory, files)
    with (directory / DESCRIPTION).open("w") as file:
        json.dump(description, file, indent=2, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())


def _weights(repository: str, directory: Path, announced: dict[str, RepoSibling]) -> list[str]:
    """Return the files of the weights: safetensors where the graph is built here, otherwise ONNX with what lies beside it."""
    kind = _read(repository, directory, lambda files: files.config.get("model_type"))
    places = (SAFETENSORS, *ONNX_PLACES) if kind in BUILT_ARCHITECTURES else ONNX_PLACES
    weights = next((place for place in places if place in announced), None)
    if weights is None:
        _refuse(
            f"{repository} has neither model.safetensors of the BERT family nor model.onnx (its architecture is {kind}); "
            "`semantik models export` turns it into ONNX"
        )
    return [name for name in (weights, f"{weights}_data") if name in announced]


def _read(repository: str, directory: Path, what: Callable[[ModelFiles], _T]) -> _T:
    """Read from the configuration now what will be needed of it, so that what would be refused later is refused before it is fetched."""
    try:
        return what(ModelFiles(repository, directory))
    except ModelDamagedError as error:
        raise RefusedError("MODEL_UNSUPPORTED", str(error)) from error


def _checked(path: Path, announced: RepoSibling) -> str:
    """Return the SHA-256 of a file, which is on the disk by then; raises RefusedError where the hub announced another one."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    digest = sha256(path)
    size = path.stat().st_size
    if announced.lfs is not None:
        same = digest == announced.lfs.sha256
    elif announced.blob_id:
        # Git's own name for the content: only small files have one, so they are read once more.
        same = hashlib.sha1(b"blob %d\0%b" % (size, path.read_bytes()), usedforsecurity=False).hexdigest() == announced.blob_id
    else:
        same = True
    if not same or announced.size not in (None, size):
        raise RefusedError("DOWNLOAD_FAILED", f"{announced.rfilename} is not what the hub announced, but truncated or altered")
    return digest


def _description(repository: str, revision: str, info: ModelInfo, directory: Path, files: dict[str, str]) -> dict[str, object]:
    description: dict[str, object] = {
        "source": f"{repository}@{info.sha}",
        "revision": revision,
        "license": _license(info),
        "languages": _languages(info),
        "files": files,
    }
    known = family(info.id)
    if known is not None:
        description["pooling"] = known.pooling
        if not any(ModelFiles(repository, directory).prefixes):
            description |= {"query_prefix": known.query_prefix, "passage_prefix": known.passage_prefix}
    return description


def _license(info: ModelInfo) -> str:
    """Return the licence as SPDX writes it; empty for what SPDX does not know."""
    for tag in info.tags or ():
        if tag.startswith("license:"):
            try:
                return str(canonicalize_license_expression(tag.removeprefix("license:")))
            except InvalidLicenseExpression:
                return ""
    return ""


def _languages(info: ModelInfo) -> list[str]:
    """Return what the model's card says of its languages."""
    named = info.card_data.language if info.card_data else None
    codes = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return [code.lower() for code in codes if isinstance(code, str) and _LANGUAGE.fullmatch(code)][:_MOST_LANGUAGES]


def _explained(error: Exception, repository: str, revision: str) -> str:
    """Say in one sentence, without addresses, why the hub's library or the disk gave up."""
    for kind, sentence in (
        (GatedRepoError, f"{repository} asks for consent to its terms: give it on the hub, and set HF_TOKEN"),
        (RepositoryNotFoundError, f"the hub has no {repository}, or does not show it without the right HF_TOKEN"),
        (RevisionNotFoundError, f"{repository} has no revision {revision}"),
    ):
        if isinstance(error, kind):
            return sentence
    if isinstance(error, HfHubHTTPError):
        return f"the hub answers with status {error.response.status_code}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"the model cannot be written: {error.strerror}"
    if type(error) is OSError:  # the library's own, for a file of the wrong size
        return "the hub sent something else than it announced"
    return f"the hub cannot be reached, or broke off ({type(error).__name__})"


def _refuse(message: str) -> NoReturn:
    raise RefusedError("MODEL_UNSUPPORTED", message)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", required=True)
    parser.add_argument("--revision", required=True)
    parser.add_argument("--directory", type=Path, required=True)
    options = parser.parse_args()
    progress = Progress()
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK_BYTES
    try:
        with progress.reported():
            download(options.repository, options.revision, options.directory, progress)
    except RefusedError as refused:
        report(**progress.now, reason=refused.reason, message=str(refused))
    except Exception as error:  # noqa: BLE001 - the parent reports it, whatever it is
        traceback.print_exc()
        report(**progress.now, reason="DOWNLOAD_FAILED", message=_explained(error, options.repository, options.revision))
    else:
        report(**progress.now, succeeded=True)


if __name__ == "__main__":
    main()
