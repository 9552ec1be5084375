"""Other embedders on the same weights, in a process and an environment of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

from services.embedding.catalog.model_files import ModelFiles
from services.embedding.graphs import build

_SCRIPT = Path(__file__).with_name("embed_peer.py")


class Peers:
    """Runs ``embed_peer.py``; ``names`` are the peers that work, none of them where ``python`` is not there."""

    def __init__(self, python: Path | None, files: ModelFiles, texts: list[str], home: Path) -> None:
        self.names: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        if python is None or not python.exists():
            sys.stderr.write("bench-embed: the environment of the peers is not there; they are left out\n")
            return
        (home / "texts.json").write_text(json.dumps(texts))
        command = [str(python), str(_SCRIPT), str(files.directory), str(_onnx(files, home / "peer")), str(home / "texts.json")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        state = json.loads(self._answer() or '{"ready": [], "left_out": {"all peers": "they do not start"}}')
        self.names = state["ready"]
        for name, why in state["left_out"].items():
            sys.stderr.write(f"bench-embed: {name} is left out: {why}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def seconds(self, name: str) -> float:
        """Let one peer embed the texts; return how long that took, by its own clock."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(name + "\n")
        self._process.stdin.flush()
        return float(json.loads(self._answer())["seconds"])

    def _answer(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def _onnx(files: ModelFiles, directory: Path) -> Path:
    """Write the model as a directory that fastembed reads; its graph takes batches with padding, as fastembed makes them."""
    directory.mkdir()
    for file in files.directory.glob("*.json"):
        shutil.copyfile(file, directory / file.name)
    build.write(files, "FLOAT32", directory / "model.onnx", padded=True)
    return directory
